export async function measureBigJob() {}
