/// <reference types="node" />
import type * as methods from './methods.js';
import type { Confidence, EditChange, LockChange, MatchKind, Methods, Reason } from './methods.js';
import type { AnswerStatus, ErrorStatus, LogLevel, OptionFields, RequestKind, Stats } from './names.js';

export type { AnswerStatus, Confidence, EditChange, ErrorStatus, LogLevel, MatchKind, Methods, Reason };
export type { RequestKind, Stats };

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

/** A path or a text: a string, or bytes that are no UTF-8. */
export type Text = string | Uint8Array;

type CamelName<Name> = Name extends `${infer First}_${infer Rest}` ? `${First}${Capitalize<CamelName<Rest>>}` : Name;
/** What a method gives, with names in camel case: docs/methods.md describes the fields. What is not known is absent. */
type Camel<T> = T extends Uint8Array
  ? Buffer
  : T extends readonly (infer One)[] ? Camel<One>[]
  : T extends object ? { [Name in keyof T as CamelName<Name>]: Camel<T[Name]> } : T;

export type Item = Camel<methods.Item>;
export type Change = Camel<methods.Change>;
export type LibraryInfo = Camel<methods.LibraryInfo>;
export type ServerInfo = Camel<methods.ServerInfo>;
export type StoreInfo = Camel<methods.StoreInfo>;
/** A mapping that seems to be missing: it would make `matched` of `of` paths listed. */
export type Proposal = Camel<methods.Proposal>;
export type EditReport = Camel<methods.EditedItems>;

/** `status` tells whether there is an item. */
export type Answer<Fields = Camel<methods.Match>> = Found<Fields> | Missed<Fields>;
/** Also how many items and files are below the folder, and what it is. */
export type FolderAnswer = Answer<Camel<methods.Folder>>;

export type Found<Fields = Camel<methods.Match>> = Omit<Fields, 'status'> & { status: 'OK'; item: Item };

export type Missed<Fields = Camel<methods.Match>> = Omit<Fields, 'status'> & {
  /** Of matchPaths() also the error of this one path. 'UNKNOWN': of a library newer than this package. */
  status: Exclude<AnswerStatus, 'OK'> | ErrorStatus | 'UNKNOWN';
  item: null;
};

export interface Mapping {
  /** Whose paths `from` is about. Default: 'host'. */
  side?: 'host' | 'server' | undefined;
  from: Text;
  to: Text;
  /** `from` is a regular expression, `to` a replacement. */
  pattern?: boolean | undefined;
}

export interface Options extends OptionFields {
  /**
   * Gives a new token at once, or null for none now, when the server refuses the one that there is or it expired. A promise
   * counts as no token: the call's thread waits for the function.
   */
  renewToken?: (() => string | null) | undefined;
  /** What drainLog() gives, for the whole process. Default: 'warn'. */
  logLevel?: LogLevel | 'off' | undefined;
  mappings?: Iterable<Mapping> | undefined;
}

export interface Progress {
  /** The library's title; empty while the call waits for something else. */
  library: string;
  items: number;
  total: number;
  elapsedMs: number;
}

export interface Deadline {
  /**
   * Milliseconds, an integer; 0: the call waits for nothing, -1: none. When it passes the status is 'NOT_YET', or 'NEEDS_WARM' if
   * nothing came from the server. Default: as the options of open() say.
   */
  deadlineMs?: number | undefined;
}

export interface Limits extends Deadline {
  /**
   * Called in the loop while a call waits for the server; `false` ends the call, and what it throws ends it and comes out
   * of it. The call waits for the promises of an asynchronous one, but no longer than `signal`, `deadlineMs` and `close()` let it.
   */
  progress?: ((progress: Progress) => boolean | void | Promise<boolean | void>) | undefined;
  /** Ends the call when it is aborted, while the call waits for the server. */
  signal?: AbortSignal | undefined;
}

export interface Ask extends Limits {
  /** Sends no request, and answers with what is known. */
  offline?: boolean | undefined;
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
  /**
   * Calls a method by its name: docs/methods.md describes all methods, with the fields of their requests and answers.
   * A path that is no UTF-8 is given as a Uint8Array and comes as a Buffer.
   */
  call<M extends keyof Methods>(
    method: M, request?: Methods[M]['request'], options?: Limits,
  ): Promise<Methods[M]['answer']>;
  /**
   * A library by its uuid, title or section id; without a name all of them. Sends no request: the first question to a
   * library that does not exist fails with the code 'LIBRARY_NOT_FOUND'.
   */
  library(name?: string | number | null): Library;
  /** A table of the host's own values. */
  table(name: Text, options?: { foldAscii?: boolean | undefined }): Table;
  stats(): Promise<Stats>;
  store(): Promise<StoreInfo>;
  /** Mappings that seem to be missing, the best first; with paths those that would have these listed. */
  proposals(paths?: Iterable<Text>): Promise<Proposal[]>;
  libraries(options?: Ask): Promise<LibraryInfo[]>;
  server(options?: Limits): Promise<ServerInfo>;
  /** Listens to the server's events. */
  watchStart(): Promise<void>;
  watchStop(): Promise<void>;
  /** Tells the index of an event that the host received, such as a webhook. */
  notify(body: Text): Promise<void>;
  /**
   * Replaces the token; null is none. Sends no request, and calls under way go on as they began. Without the option `user`
   * nothing of the earlier token's is answered before the server has accepted this one.
   */
  setToken(token: Text | null): Promise<void>;
  invalidateAll(): Promise<void>;
  /** Removes all that the store holds of this server and user. */
  clear(): Promise<void>;
}

export class Library {
  private constructor();
  /** The full answer for one path. Asks the server where that is needed. */
  match(path: Text, options?: Ask): Promise<Answer>;
  /** match() for many paths in one call: an answer for each, in order. */
  matchPaths(paths: Iterable<Text>, options?: Ask): Promise<Answer[]>;
  /** Which show, season, artist, album or item a folder is. */
  folder(path: Text, options?: Ask): Promise<FolderAnswer>;
  matchGuid(guid: string, options?: Ask): Promise<Answer>;
  searchTitle(title: string, options?: Ask): Promise<Answer>;
  /** The key of the item with this path, where the index has it at hand; never waits. */
  lookupKey(path: Text): string | null;
  lookupKeys(paths: Iterable<Text>): (string | null)[];
  /** The items with files below a folder, in the order of their paths. Of what is known: sends no request. */
  itemsBelow(path: Text): AsyncGenerator<Item>;
  /** The items of the library, of what is known. */
  items(): AsyncGenerator<Item>;
  /** One item with all its files and ids; null when no listing holds it. */
  item(key: string): Promise<Item | null>;
  /** False when the deadline came first; while no library is known that fails with the code 'TIMEOUT'. */
  refresh(options?: Ask & { full?: boolean | undefined; check?: boolean | undefined }): Promise<boolean>;
  /**
   * What was added, removed, changed and moved since a cursor; without a cursor none, and the cursor of now; with `full` all
   * items come first. Sends no request: refresh() does. `more` says that the next call has something. The code 'LIST_AGAIN'
   * says to begin anew with `full`.
   */
  changes(
    cursor?: string | null,
    options?: { full?: boolean | undefined; limit?: number | undefined },
  ): Promise<Camel<methods.ChangePage>>;
  /** Waits until changes() has something, or refresh() is due. False when the deadline came first. `signal` ends it. */
  waitForChanges(cursor: string, options?: Ask): Promise<boolean>;
  recordMatch(path: Text, key: Text, options?: Deadline): Promise<void>;
  /** recordMatch() for many pairs: all, or none. */
  recordMatches(pairs: Iterable<readonly [Text, Text]>, options?: Deadline): Promise<void>;
  invalidatePath(path: Text): Promise<void>;
  /** By its key or rating key. */
  invalidateItem(key: Text): Promise<void>;
  invalidate(): Promise<void>;
  /** Gives many items the same values: `[{ field: 'title', set: 'A' }, { field: 'genre', add: 'Drama' }]`. */
  editItems(
    keys: Iterable<string>,
    changes: Iterable<EditChange>,
    options?: Limits & { lock?: LockChange | undefined },
  ): Promise<EditReport>;
}

export class Table {
  private constructor();
  /** The value as text, where the index has it at hand; never waits. */
  lookup(name: Text): string | null;
  get(name: Text): Promise<Buffer | null>;
  /** Stores a value. `limit`: how many bytes all tables may take; 0: no limit. */
  put(name: Text, value: Text, options?: { ttlMs?: number | undefined; limit?: number | undefined }): Promise<void>;
  remove(name: Text): Promise<void>;
  /** The names of its entries, in the order of their bytes. */
  names(): AsyncGenerator<Buffer>;
  count(): Promise<number>;
  clear(): Promise<void>;
}

export function open(options: Options): Promise<Index>;
/** How a path compares with each of others: `common` counts the components that agree, from the end. */
export function comparePaths(path: Text, others: Iterable<Text>): methods.PathRelation[];
/** The log lines that wait, oldest first. The ring holds 256 for the whole process. */
export function drainLog(): { level: LogLevel | 'unknown'; message: string }[];
/** The version of the library. */
export function version(): string;
