/// <reference types="node" />
import type * as methods from './methods.js';
import type { Confidence, MatchKind, Methods, Reason } from './methods.js';
import type { AnswerStatus, ErrorStatus, LogLevel, OptionFields, RequestKind, Stats } from './names.js';

export type { AnswerStatus, Confidence, ErrorStatus, LogLevel, MatchKind, Methods, Reason, RequestKind, Stats };

/** A path or text: a string, or bytes that are not UTF-8. */
export type Text = string | Uint8Array;

type CamelName<Name> = Name extends `${infer First}_${infer Rest}` ? `${First}${Capitalize<CamelName<Rest>>}` : Name;
type Camel<T> = T extends Uint8Array
  ? Buffer
  : T extends readonly (infer One)[]
    ? Camel<One>[]
    : T extends object
      ? { [Name in keyof T as CamelName<Name>]: Camel<T[Name]> }
      : T;

/** docs/methods.md describes the fields. A field that is not known is absent. */
export type Item = Camel<
  Omit<
    methods.Item,
    | 'paths'
    | 'guids'
    | 'media'
    | 'edition'
    | 'added_at'
    | 'duration_ms'
    | 'season_rating_key'
    | 'season_title'
    | 'season_guid'
  >
>;
/** Check `sure`: the single item with high confidence. matchPaths() also returns errors of single paths. */
export type Answer = Sure | Likely | Missed;
export type Sure = Omit<Camel<methods.Match>, 'status'> & { status: 'OK'; sure: Item; likely: null };
/** The single item with low confidence: the file may be another work, so verify the item before a change. */
export type Likely = Omit<Camel<methods.Match>, 'status'> & { status: 'OK'; sure: null; likely: Item };
export type Missed = Omit<Camel<methods.Match>, 'status'> & {
  /** 'UNKNOWN': a newer library returned it. */
  status: Exclude<AnswerStatus, 'OK'> | ErrorStatus | 'UNKNOWN';
  sure: null;
  likely: null;
};

export interface Mapping {
  /** Whose paths `from` names. Default: 'host'. */
  side?: 'host' | 'server' | undefined;
  from: Text;
  to: Text;
  /** `from` is a regular expression, and `to` its replacement. */
  pattern?: boolean | undefined;
}

export interface Options extends OptionFields {
  /** The lines that drainLog() returns. The whole process has one level. Default: 'warn'. */
  logLevel?: LogLevel | 'off' | undefined;
  mappings?: Iterable<Mapping> | undefined;
}

export interface Progress {
  /** The library's title. Empty while the call waits for something else. */
  library: string;
  items: number;
  total: number;
  elapsedMs: number;
}

export interface Limits {
  /** Milliseconds from the start of the call. 0: wait for nothing; -1: no timeout. Default: that of open(). */
  timeoutMs?: number | undefined;
  /** Runs while the call waits. If it returns `false` or throws, the call ends. It must not return a promise. */
  progress?: ((progress: Progress) => boolean | void) | undefined;
  /** Ends a waiting call within 0.2 s after it aborts. The call then throws its reason. */
  signal?: AbortSignal | undefined;
}

export interface QueryOptions extends Limits {
  /** Sends no request. */
  offline?: boolean | undefined;
  /** First asks the server for changes, even if the listing is fresh. */
  check?: boolean | undefined;
}

export interface MatchOptions extends QueryOptions {
  /**
   * The file's size in bytes. By default, the library reads the size of a file on this machine if the path is neither
   * recorded nor listed nor mapped; `false` forbids it. matchPaths() accepts only `false`.
   */
  size?: number | false | undefined;
}

/** Every failure except a wrong argument (TypeError) and an aborted signal (its reason). */
export class PlexindexError extends Error {
  private constructor();
  /** The name of the status. 'CLOSED': the index was closed. 'NOT_INSTALLED': no matching C library was found. */
  readonly code: ErrorStatus | 'CLOSED' | 'NOT_INSTALLED' | 'UNKNOWN';
  /** The number of the status; null for 'CLOSED' and 'NOT_INSTALLED'. */
  readonly status: number | null;
}

export interface Index {
  /** Ends waiting calls with the code 'CLOSED', and waits for the others. */
  close(): Promise<void>;
  /** Calls a method of docs/methods.md. A path that is not UTF-8 is a Uint8Array, and in answers a Buffer. */
  call<Name extends keyof Methods>(
    method: Name,
    request?: Methods[Name]['request'],
    options?: Limits,
  ): Promise<Methods[Name]['answer']>;
  /** Returns a library by title, section id or uuid; without a name all of them. Sends no request. */
  library(name?: string | number | null): Library;
  /** Returns a table of your own values. */
  table(name: Text, options?: { foldAscii?: boolean | undefined }): Table;
  stats(): Promise<Stats>;
  /** Passes on an event that you received, such as a webhook's body. */
  notify(body: Text): Promise<void>;
  /** Replaces the token; null for none. */
  setToken(token: Text | null): Promise<void>;
  /** Removes everything that the store has of this server and user. */
  clear(): Promise<void>;
}

export interface Library {
  /** Finds the item of a path. Asks the server if necessary. */
  match(path: Text, options?: MatchOptions): Promise<Answer>;
  /** Finds the items of many paths with one call, in order. */
  matchPaths(paths: Iterable<Text>, options?: MatchOptions & { size?: false | undefined }): Promise<Answer[]>;
  /** Returns the key of the item with this path, or null if the index does not have it at hand. Sends no request. */
  lookupKey(path: Text): string | null;
  lookupKeys(paths: Iterable<Text>): (string | null)[];
  /** Brings the library up to date. Returns false if the timeout passed first. `check` asks even if it is fresh. */
  refresh(options?: QueryOptions & { full?: boolean | undefined }): Promise<boolean>;
  /** Records that a path is this item. Neither a signal nor close() ends this call. */
  recordMatch(path: Text, key: Text, options?: { timeoutMs?: number | undefined }): Promise<void>;
  /** Records all pairs of a path and a key, or none. */
  recordMatches(pairs: Iterable<readonly [Text, Text]>, options?: { timeoutMs?: number | undefined }): Promise<void>;
  invalidatePath(path: Text): Promise<void>;
  /** Invalidates an item by its key or rating key. */
  invalidateItem(key: Text): Promise<void>;
  invalidate(): Promise<void>;
}

export interface Table {
  /** Returns a value if the index has it at hand as text; get() returns every value. Sends no request. */
  lookup(name: string): string | null;
  get(name: Text): Promise<Buffer | null>;
  /** Stores a value. `limit`: bytes that the table may take; then its oldest entries go. By default, no limit. */
  put(name: Text, value: Text, options?: { ttlMs?: number | undefined; limit?: number | undefined }): Promise<void>;
  remove(name: Text): Promise<void>;
  /** Returns the names of all entries, in the order of their bytes. */
  names(): AsyncGenerator<Buffer>;
}

export function open(options: Options): Promise<Index>;
/** Returns the waiting log lines, oldest first. At most 256 wait in the whole process. */
export function drainLog(): { level: LogLevel | 'unknown'; message: string }[];
/** Returns the version of the C library. */
export function version(): string;
