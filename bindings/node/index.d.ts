/// <reference types="node" />
import type {
  AnswerStatus, Confidence, EditState, ErrorStatus, Kind, LogLevel, MatchKind, Reason, RequestKind, Stats,
} from './names.js';

export type { AnswerStatus, Confidence, EditState, ErrorStatus, Kind, LogLevel, MatchKind, Reason, RequestKind, Stats };

// What `lib` has from ES2026 on, so that `await using` compiles with an older one.
declare global {
  interface SymbolConstructor {
    readonly dispose: unique symbol;
    readonly asyncDispose: unique symbol;
  }
  interface Disposable {
    [Symbol.dispose](): void;
  }
  interface AsyncDisposable {
    [Symbol.asyncDispose](): PromiseLike<void>;
  }
}

/** A path, a key or a text: a string, or bytes that are no UTF-8. */
export type Text = string | Uint8Array;

export interface Mapping {
  /** Whose paths `from` is about. Default: 'host'. */
  side?: 'host' | 'server' | undefined;
  from: Text;
  to: Text;
  /** `from` is a regular expression, `to` a replacement. */
  pattern?: boolean | undefined;
}

/** The fields of plexindex_options in plexindex.h, which says what each means. */
export interface Options {
  cacheDir: Text;
  serverUrl?: string | undefined;
  token?: string | undefined;
  /** Gives a new token at once, or null for none now, when the server refuses the one that there is or it expired. */
  renewToken?: (() => string | null) | undefined;
  user?: string | undefined;
  caFile?: Text | undefined;
  /** Plex's own database, or a folder in which it lies: docs/plex-database.md. */
  database?: Text | undefined;
  /** A PostgreSQL database that several hosts share, without a password: docs/several-hosts.md. */
  shared?: string | undefined;
  /** -1: a host without the shared log asks for listings at once. */
  sharedRetryMs?: number | undefined;
  /** Force what other hosts are told to the disk before a call returns. */
  sharedDurable?: boolean | undefined;
  /** -1: at once, -2: never. */
  libraryTtlMs?: number | undefined;
  maxAgeMs?: number | undefined;
  /** The deadline of calls that name none. 0: they wait for nothing; -1, the default: none. */
  deadlineMs?: number | undefined;
  connectTimeoutMs?: number | undefined;
  readTimeoutMs?: number | undefined;
  /** -1: no request is tried again. */
  retryMs?: number | undefined;
  matchesLimit?: number | undefined;
  pageSize?: number | undefined;
  /** What drainLog() gives, for the whole process. Default: 'warn'. */
  logLevel?: LogLevel | 'off' | undefined;
  slowMs?: number | undefined;
  sizeLimit?: number | undefined;
  offline?: boolean | undefined;
  acceptInvalidCerts?: boolean | undefined;
  noMmap?: boolean | undefined;
  obfuscatePaths?: boolean | undefined;
  mappings?: Iterable<Mapping> | undefined;
}

export interface Progress {
  /** The library's title; empty while the call waits for something else. */
  library: string;
  items: number;
  total: number;
  elapsedMs: number;
}

export interface Ask {
  /**
   * Milliseconds, an integer; 0: the call waits for nothing, -1: none. When it passes the status is 'NOT_YET', or 'NEEDS_WARM' if
   * nothing came from the server. Default: as the options of open() say.
   */
  deadlineMs?: number | undefined;
  offline?: boolean | undefined;
  /**
   * Called in the loop while a call waits for the server; `false` ends the call, and what it throws ends it and comes out
   * of it. The call waits for the promises of an asynchronous one, but no longer than `signal`, `deadlineMs` and `close()` let it.
   */
  progress?: ((progress: Progress) => boolean | void | Promise<boolean | void>) | undefined;
  /** Ends the call when it is aborted, while the call waits for the server. */
  signal?: AbortSignal | undefined;
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

/** `status` tells whether there is an item. */
export type Answer = Found | Missed;

export interface Found extends AnswerFields {
  /** One item. */
  status: 'OK';
  item: Item;
}

export interface Missed extends AnswerFields {
  /** Of matchPaths() also the error of this one path. 'UNKNOWN': of a library newer than this package. */
  status: Exclude<AnswerStatus, 'OK'> | ErrorStatus | 'UNKNOWN';
  item: null;
}

interface AnswerFields {
  matchKind: MatchKind | 'unknown';
  confidence: Confidence | 'unknown';
  /** Why there is no single item, or what speaks for or against the one found. */
  reason: Reason | 'unknown';
  stale: boolean;
  candidates: Item[];
  candidatesTotal: number;
  message: string | null;
  ageMs: number | null;
  /** Of a folder: how many items and files are below it, and what it is. 0 and null in every other answer. */
  items: number;
  files: number;
  kind: Kind | null;
}

/** An item with all its files and external ids. */
export interface ItemDetails {
  key: string;
  ratingKey: string;
  kind: string;
  title: string | null;
  year: number | null;
  showTitle: string | null;
  showRatingKey: string | null;
  showGuid: string | null;
  season: number | null;
  episode: number | null;
  guid: string | null;
  guids: string[];
  paths: string[];
}

export interface Change {
  change: 'added' | 'removed' | 'changed' | 'moved' | 'list_again';
  library: string;
  section: string;
  path: string | null;
  /** Of 'moved' where the file was, of 'changed' a file that the item lost. */
  from: string | null;
  ratingKey: string | null;
  /** The rating key that the item had before, where it got another one. */
  fromKey: string | null;
  item: ItemDetails | null;
}

export interface LibraryInfo {
  section: string;
  uuid: string;
  title: string;
  /** Plex's word, such as 'movie', 'show', 'artist' or 'photo'. */
  kind: string;
  locations: string[];
  items: number;
  ageMs: number | null;
  fresh: boolean;
  generation: number;
}

export interface ServerInfo {
  machineIdentifier: string;
  version: string;
  answeredUs: number;
  libraries: number;
}

export interface StoreInfo {
  folder: string;
  fileSystem: string | null;
  journal: string;
  sharesMemory: boolean;
  counterPage: boolean;
  locks: boolean;
  locksError: string | null;
  diskBytes: number;
  freeBytes: number | null;
}

/** A mapping that seems to be missing: it would make `matched` of `of` paths listed. */
export interface Proposal {
  from: string;
  to: string;
  matched: number;
  of: number;
  gain?: number;
}

export interface EditReport {
  done: number;
  failed: number;
  requests: number;
  states: (EditState | 'unknown')[];
}

/** Each failure but an argument of a wrong type, which is a TypeError, and an aborted signal, whose reason is thrown. */
export class PlexindexError extends Error {
  private constructor();
  /** The name of the status; 'CLOSED': the index was closed; 'NOT_INSTALLED': the library is not there, or is another. */
  readonly code: ErrorStatus | 'CLOSED' | 'NOT_INSTALLED' | 'UNKNOWN';
  /** The number: enum plexindex_status. null for 'CLOSED' and 'NOT_INSTALLED'. */
  readonly status: number | null;
  /** Of editItems(): how far it came. */
  readonly report?: EditReport;
  /** Of 'UNAUTHORIZED': what renewToken threw, or why it gave no token. */
  readonly cause?: unknown;
}

export class Index {
  private constructor();
  /** Waits for the calls in flight, and cuts fetches short: they and later calls fail with the code 'CLOSED'. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
  library(name?: string | number | null): Library;
  table(name: Text, options?: { foldAscii?: boolean | undefined }): Table;
  stats(): Promise<Stats>;
  store(): Promise<StoreInfo>;
  proposals(paths?: Iterable<Text>): Promise<Proposal[]>;
  libraries(options?: Ask): Promise<LibraryInfo[]>;
  server(options?: Ask): Promise<ServerInfo>;
  watchStart(): Promise<void>;
  watchStop(): Promise<void>;
  notify(body: Text): Promise<void>;
  setToken(token: Text | null): Promise<void>;
  invalidateAll(): Promise<void>;
  clear(): Promise<void>;
}

export class Library {
  private constructor();
  match(path: Text, options?: Ask): Promise<Answer>;
  matchPaths(paths: Iterable<Text>, options?: Ask): Promise<Answer[]>;
  folder(path: Text, options?: Ask): Promise<Answer>;
  matchGuid(guid: Text, options?: Ask): Promise<Answer>;
  searchTitle(title: Text, options?: Ask): Promise<Answer>;
  /** The key of the item with this path, where the index has it at hand; never waits. */
  lookupKey(path: Text): string | null;
  lookupKeys(paths: Iterable<Text>): (string | null)[];
  /** Of what is known: these send no request. */
  itemsBelow(path: Text): AsyncGenerator<Item>;
  items(): AsyncGenerator<Item>;
  item(key: Text): Promise<ItemDetails | null>;
  /** False when the deadline came first; while no library is known that fails with the code 'TIMEOUT'. */
  refresh(options?: Ask & { full?: boolean | undefined; check?: boolean | undefined }): Promise<boolean>;
  changes(cursor?: string | null, options?: { full?: boolean | undefined; limit?: number | undefined }): Promise<{ changes: Change[]; cursor: string; more: boolean }>;
  waitForChanges(cursor: Text, options?: Ask): Promise<boolean>;
  recordMatch(path: Text, key: Text, options?: { deadlineMs?: number | undefined }): Promise<void>;
  recordMatches(pairs: Iterable<readonly [Text, Text]>, options?: { deadlineMs?: number | undefined }): Promise<void>;
  invalidatePath(path: Text): Promise<void>;
  invalidateItem(key: Text): Promise<void>;
  invalidate(): Promise<void>;
  editItems(
    keys: Iterable<Text>,
    changes: Record<string, string>,
    options?: { lock?: 'lock' | 'unlock' | 'leave' | undefined; deadlineMs?: number | undefined },
  ): Promise<EditReport>;
}

export class Table {
  private constructor();
  /** The value as text, where the index has it at hand; never waits. */
  lookup(name: Text): string | null;
  get(name: Text): Promise<Buffer | null>;
  put(name: Text, value: Text, options?: { ttlMs?: number | undefined; limit?: number | undefined }): Promise<void>;
  remove(name: Text): Promise<void>;
  names(): AsyncGenerator<Buffer>;
  count(): Promise<number>;
  clear(): Promise<void>;
}

export function open(options: Options): Promise<Index>;
export function comparePaths(path: Text, others: Iterable<Text>): { equal: boolean; under: boolean; common: number }[];
export function drainLog(): { level: LogLevel | 'unknown'; message: string }[];
export function version(): string;
