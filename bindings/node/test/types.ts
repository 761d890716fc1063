// Compiled, not run: what callers write has these types.
import * as plexindex from 'plexindex';

export async function used(): Promise<string[]> {
  const index: plexindex.Index = await plexindex.open({ cacheDir: '/x', libraryTtlMs: -2, renewToken: () => null, mappings: [{ from: '/a', to: '/b' }] });
  const library = index.library(1);
  const answer = await library.match(Buffer.from('/x'), { progress: (progress) => progress.items < 3, deadlineMs: 100 });
  const year: number | null | undefined = answer.item?.year;
  const keys: (string | null)[] = library.lookupKeys(['/x']);
  const all: string[] = [String(year), ...keys.map(String)];
  for await (const item of library.itemsBelow('/x')) all.push(item.path ?? '');
  for await (const name of index.table('t').names()) all.push(name.toString());
  // @ts-expect-error there is no such option
  await plexindex.open({ cacheDir: '/x', tokens: '' });
  // @ts-expect-error a promise comes too late
  await plexindex.open({ cacheDir: '/x', renewToken: async () => 'x' });
  // @ts-expect-error an index is opened, not made
  new plexindex.Index();
  return all;
}
