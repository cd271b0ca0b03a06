import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { isUuid } from "../../customers/find.ts";
import { once } from "./options.ts";

/** The command gets the ID as the platform writes it. A mistyped one has no runs, which would look like none was started. */
export const instanceOption = () =>
  new Option("-i, --instance <id>", "the instance, where the user has several").argParser(
    (given: string, previous: string | undefined): string => {
      const id = once(given, previous).toLowerCase();
      if (isUuid(id)) return id;
      throw new InvalidArgumentError("It is not an instance ID (a UUID).");
    },
  );
