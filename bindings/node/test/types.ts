// The compiler checks these types. Nothing runs.
import * as plexindex from 'plexindex';

export async function useTypes(): Promise<unknown[]> {
  const index: plexindex.Index = await plexindex.open({
    cacheDir: '/x',
    logLevel: 'off',
    libraryTtlMs: -2,
    user: undefined,
  });
  const library = index.library(1);
  const answer = await library.match(Buffer.from('/x'), {
    progress: (progress) => progress.items < 3,
    signal: undefined,
    size: 7,
  });
  const sizes: (number | boolean | undefined)[] = [answer.file?.size, answer.file?.optimized];
  await index.call(
    'items.get',
    { library: 'Movies', key: '1' },
    { timeoutMs: 1 },
  );
  if (answer.sure) return [answer.sure.key];
  if (answer.status === 'OK') return [answer.likely.key];
  const none: null = answer.likely;
  const [year, path]: [number?, (string | Buffer)?] = [answer.candidates[0]?.year, answer.candidates[0]?.path];
  const stats: plexindex.Stats = await index.stats();
  const counts: (number | undefined)[] = [stats.answers.file_name, stats.requests.find_path];
  const page = await index.call('items.below', { path: new Uint8Array(1), limit: 3 }, { timeoutMs: 1 });
  const all: string[] = [page.items[0]?.rating_key ?? '', answer.reason ?? ''];
  // @ts-expect-error there is no such option
  await plexindex.open({ cacheDir: '/x', tokens: '' });
  // @ts-expect-error open() makes an index
  new plexindex.Index();
  // @ts-expect-error there is no such status
  all.push(String(answer.status === 'FOUND'));
  // @ts-expect-error there is no such method
  await index.call('items.lists', {});
  const { shows, seasons } = await index.call('shows.list', { library: 'TV Shows' });
  all.push(...shows.map((show) => show.title ?? ''), ...seasons.map((season) => season.rating_key));
  return [none, year, path, all, counts, sizes];
}
