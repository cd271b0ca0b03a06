/** `text` for a LIKE pattern, each character standing for itself. */
export function escapeLike(text: string): string {
  return text.replaceAll(/[\\%_]/g, String.raw`\$&`);
}

/** The `pagination` of an offset list. */
export function page({ offset, limit }: { offset: number; limit: number }, total: number) {
  return { offset, limit, total, totalPages: Math.ceil(total / limit) };
}
