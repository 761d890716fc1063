// Compiled, not run: what callers write has these types.
import * as plexindex from 'plexindex';

export async function used(): Promise<string[]> {
  await using index: plexindex.Index = await plexindex.open({ cacheDir: '/x', logLevel: 'off', libraryTtlMs: -2, renewToken: () => null, mappings: [{ from: '/a', to: '/b' }] });
  const library = index.library(1);
  const answer = await library.match(Buffer.from('/x'), { progress: (progress) => progress.items < 3, deadlineMs: 100 });
  await library.refresh({ progress: async () => { await library.changes(); } });
  const year: number | null | undefined = answer.item?.year;
  const keys: (string | null)[] = library.lookupKeys(['/x']);
  const all: string[] = [String(year), ...keys.map(String)];
  for await (const item of library.itemsBelow('/x')) all.push(item.path ?? '');
  for await (const name of index.table('t').names()) all.push(name.toString());
  const stats: plexindex.Stats = await index.stats();
  const counts: number[] = [stats.answers.file_name, stats.requests.find_path, stats.networkUs];
  const [first] = await index.libraries();
  const age: number | null | undefined = first?.ageMs;
  const free: number | null = (await index.store()).freeBytes;
  all.push((await index.server()).machineIdentifier, ...((await library.item('1'))?.guids ?? []), String([counts, age, free]));
  // @ts-expect-error there is no such option
  await plexindex.open({ cacheDir: '/x', tokens: '' });
  // @ts-expect-error levels are words
  await plexindex.open({ cacheDir: '/x', logLevel: 2 });
  // @ts-expect-error a promise comes too late
  await plexindex.open({ cacheDir: '/x', renewToken: async () => 'x' });
  // @ts-expect-error an index is opened, not made
  new plexindex.Index();
  // @ts-expect-error there is no such status
  all.push(String(answer.status === 'FOUND'));
  // @ts-expect-error there is no such reason
  all.push(String(answer.reason === 'lost'));
  // @ts-expect-error there is no such count
  all.push(String(stats.network_us));
  // @ts-expect-error a path is no number
  library.lookupKey(42);
  return all;
}

/** The status tells whether there is an item; options may be undefined, also with exactOptionalPropertyTypes. */
export async function narrowed(library: plexindex.Library, signal: AbortSignal | undefined): Promise<string> {
  const answer = await library.match('/x', { signal, deadlineMs: undefined, progress: undefined });
  const mappings: Iterable<plexindex.Mapping> = new Set([{ from: '/a', to: '/b', side: undefined }]);
  const index = await plexindex.open({ cacheDir: '/x', token: undefined, renewToken: undefined, mappings });
  await index.table('t', { foldAscii: undefined }).put('a', 'b', { ttlMs: undefined, limit: undefined });
  await library.editItems([], {}, { lock: undefined, deadlineMs: undefined });
  await library.changes(null, { full: undefined, limit: undefined });
  await library.refresh({ full: undefined, check: undefined });
  await library.recordMatch('/x', '1', { deadlineMs: undefined });
  // @ts-expect-error a token is null where there is none
  await index.setToken();
  if (answer.status === 'OK') return answer.item.key;
  const none: null = answer.item;
  return String(none);
}

/** Each outcome has its case, or this does not compile. */
export function said(answer: plexindex.Answer, error: plexindex.PlexindexError): string {
  const never = (value: never) => String(value);
  if (error.code === 'CLOSED' || error.code === 'NOT_INSTALLED') return 'again';
  switch (answer.confidence) {
    case 'none': case 'low': case 'high': case 'unknown': return answer.confidence;
    default: return never(answer.confidence);
  }
}
