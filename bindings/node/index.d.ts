/** A path, a key or a text: a string, or bytes that are no UTF-8. */
export type Text = string | Buffer;
export type Kind = 'movie' | 'show' | 'season' | 'episode' | 'artist' | 'album' | 'track' | 'clip' | 'photo';

export interface Mapping {
  /** Whose paths `from` is about. Default: 'host'. */
  side?: 'host' | 'server';
  from: string;
  to: string;
  /** `from` is a regular expression, `to` a replacement. */
  pattern?: boolean;
}

/** The fields of plexindex_options in plexindex.h, which says what each means. */
export interface Options {
  cacheDir: Text;
  serverUrl?: string;
  token?: string;
  /** Gives a new token at once, or null for none now, when the server refuses the one that there is or it expired. */
  renewToken?: () => string | null;
  user?: string;
  caFile?: Text;
  /** Plex's own database, or a folder in which it lies: docs/plex-database.md. */
  database?: Text;
  /** A PostgreSQL database that several hosts share, without a password: docs/several-hosts.md. */
  shared?: string;
  /** -1: a host without the shared log asks for listings at once. */
  sharedRetryMs?: number;
  /** Force what other hosts are told to the disk before a call returns. */
  sharedDurable?: boolean;
  /** -1: at once, -2: never. */
  libraryTtlMs?: number;
  maxAgeMs?: number;
  deadlineMs?: number;
  connectTimeoutMs?: number;
  readTimeoutMs?: number;
  /** -1: no request is tried again. */
  retryMs?: number;
  matchesLimit?: number;
  pageSize?: number;
  logLevel?: number;
  slowMs?: number;
  sizeLimit?: number;
  offline?: boolean;
  acceptInvalidCerts?: boolean;
  noMmap?: boolean;
  obfuscatePaths?: boolean;
  mappings?: Mapping[];
}

export interface Progress {
  library: string;
  items: number;
  total: number;
  elapsedMs: number;
}

export interface Ask {
  /** Milliseconds; -1: none. */
  deadlineMs?: number;
  offline?: boolean;
  /** Called in the loop while a call waits for the server; `false` ends the call, and so does what it throws. */
  progress?: (progress: Progress) => boolean | void;
  /** Ends the call when it is aborted, while the call waits for the server. */
  signal?: AbortSignal;
}

export interface Item {
  key: string;
  ratingKey: string;
  title: string | null;
  guid: string | null;
  showTitle: string | null;
  showRatingKey: string | null;
  showGuid: string | null;
  path: string | null;
  /** Only where the path is no UTF-8. */
  pathBytes?: Buffer;
  section: string | null;
  libraryTitle: string | null;
  kind: Kind | null;
  year: number | null;
  season: number | null;
  episode: number | null;
  keyOnly: boolean;
}

export interface Answer {
  /** 'OK', 'NOT_FOUND', 'AMBIGUOUS', 'NOT_YET', 'NEEDS_WARM'; in a batch also the error of this one path. */
  status: string;
  matchKind: 'none' | 'confirmed' | 'exact' | 'mapped' | 'suffix' | 'file_name' | 'unknown';
  confidence: 'none' | 'low' | 'high' | 'unknown';
  reason: string;
  stale: boolean;
  item: Item | null;
  candidates: Item[];
  candidatesTotal: number;
  message: string | null;
  ageMs: number | null;
  /** Of a folder: how many items and files are below it, and what it is. */
  items: number;
  files: number;
  kind: Kind | null;
}

/** As `plexindex changes --json` has it, so its names are not in camel case. */
export interface Change {
  change: 'added' | 'removed' | 'changed' | 'moved' | 'list_again';
  library: string;
  section: string;
  path: string | null;
  from: string | null;
  from_key: string | null;
  item: Record<string, any> | null;
}

export interface EditReport {
  done: number;
  failed: number;
  requests: number;
  states: ('no' | 'done' | 'failed' | 'missing' | 'unknown')[];
}

/** An error of the library. An index that was closed gives a plain Error with the code 'CLOSED'. */
export class PlexindexError extends Error {
  /** The number: enum plexindex_status. */
  readonly status: number;
  /** Its name, such as 'LIBRARY_NOT_FOUND'. */
  readonly code: string;
  /** Of editItems(): how far it came. */
  readonly report?: EditReport;
}

export class Index {
  private constructor();
  close(): Promise<void>;
  library(name?: string | number | null): Library;
  table(name: Text, options?: { foldAscii?: boolean }): Table;
  /** The fields of plexindex_stats, with its names: counts, but for these three. */
  stats(): Promise<Record<string, any> & { answers: Record<string, number>; requests: Record<string, number>; last_failure: string | null }>;
  store(): Promise<Record<string, any>>;
  proposals(paths?: Text[]): Promise<{ from: string; to: string; matched: number; of: number; gain?: number }[]>;
  libraries(options?: Ask): Promise<Record<string, any>[]>;
  server(options?: Ask): Promise<Record<string, any>>;
  watchStart(): Promise<void>;
  watchStop(): Promise<void>;
  notify(body: Text): Promise<void>;
  setToken(token: string | null): Promise<void>;
  invalidateAll(): Promise<void>;
  clear(): Promise<void>;
}

export class Library {
  private constructor();
  match(path: Text, options?: Ask): Promise<Answer>;
  matchPaths(paths: Iterable<Text>, options?: Ask): Promise<Answer[]>;
  folder(path: Text, options?: Ask): Promise<Answer>;
  matchGuid(guid: string, options?: Ask): Promise<Answer>;
  searchTitle(title: string, options?: Ask): Promise<Answer>;
  /** The key of the item with this path, where the index has it at hand; never waits. */
  lookupKey(path: Text): string | null;
  lookupKeys(paths: Iterable<Text>): (string | null)[];
  itemsBelow(path: Text): AsyncGenerator<Item>;
  items(): AsyncGenerator<Item>;
  item(key: string): Promise<Record<string, any> | null>;
  refresh(options?: Ask & { full?: boolean; check?: boolean }): Promise<boolean>;
  changes(cursor?: string | null, options?: { full?: boolean; limit?: number }): Promise<{ changes: Change[]; cursor: string; more: boolean }>;
  waitForChanges(cursor: string, options?: Ask): Promise<boolean>;
  recordMatch(path: Text, key: string, options?: { deadlineMs?: number }): Promise<void>;
  recordMatches(pairs: Iterable<[Text, string]>, options?: { deadlineMs?: number }): Promise<void>;
  invalidatePath(path: Text): Promise<void>;
  invalidateItem(key: string): Promise<void>;
  invalidate(): Promise<void>;
  editItems(
    keys: Iterable<string>,
    changes: Record<string, string>,
    options?: { lock?: 'lock' | 'unlock' | 'leave'; deadlineMs?: number },
  ): Promise<EditReport>;
}

export class Table {
  private constructor();
  lookup(name: string): string | null;
  get(name: Text): Promise<Buffer | null>;
  put(name: Text, value: Text, options?: { ttlMs?: number; limit?: number }): Promise<void>;
  remove(name: Text): Promise<void>;
  names(): AsyncGenerator<Buffer>;
  count(): Promise<number>;
  clear(): Promise<void>;
}

export function open(options: Options): Promise<Index>;
export function comparePaths(path: Text, others: Iterable<Text>): { equal: boolean; under: boolean; common: number }[];
export function drainLog(): { level: string; message: string }[];
export function version(): string;
