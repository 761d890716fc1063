// Compiled, not run: what callers write has these types.
import * as plexindex from 'plexindex';

export async function used(): Promise<unknown[]> {
  await using index: plexindex.Index = await plexindex.open({ cacheDir: '/x', logLevel: 'off', libraryTtlMs: -2, renewToken: () => null, mappings: new Set([{ from: '/a', to: '/b', side: undefined }]) });
  const library = index.library(1);
  const answer = await library.match(Buffer.from('/x'), { progress: (progress) => progress.items < 3, deadlineMs: 100, signal: undefined });
  await library.refresh({ progress: async () => { await library.changes(null, { full: undefined }); } });
  await library.editItems(['1'], [{ field: 'title', set: 'A' }], { lock: 'leave', deadlineMs: undefined });
  if (answer.status === 'OK') return [answer.item.key];
  const none: null = answer.item;
  const year: number | undefined = answer.candidates[0]?.year;
  const path: string | Buffer | undefined = answer.candidates[0]?.path;
  const all: string[] = [...library.lookupKeys(['/x']).map(String), answer.reason ?? ''];
  for await (const item of library.itemsBelow('/x')) all.push(item.showRatingKey ?? '', ...(item.paths ?? []));
  const stats: plexindex.Stats = await index.stats();
  const counts: number[] = [stats.answers.file_name, stats.requests.find_path, stats.networkUs];
  const free: number | undefined = (await index.store()).freeBytes;
  const page = await index.call('items.below', { path: new Uint8Array(1), limit: 3 }, { deadlineMs: 1 });
  all.push((await index.server()).machineIdentifier, page.items[0]?.rating_key ?? '', (await library.folder('/x')).kind ?? '');
  // @ts-expect-error there is no such option
  await plexindex.open({ cacheDir: '/x', tokens: '' });
  // @ts-expect-error a promise comes too late
  await plexindex.open({ cacheDir: '/x', renewToken: async () => 'x' });
  // @ts-expect-error a token is null where there is none
  await index.setToken();
  // @ts-expect-error an index is opened, not made
  new plexindex.Index();
  // @ts-expect-error there is no such status
  all.push(String(answer.status === 'FOUND'));
  // @ts-expect-error there is no such method
  await index.call('items.lists', {});
  // @ts-expect-error a path is no number
  library.lookupKey(42);
  return [none, year, path, all, counts, free];
}
