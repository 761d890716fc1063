// Made from include/plexindex.json by `make header`.

/** The outcome of a question. From 100 on they are errors: ErrorStatus. */
export type AnswerStatus = 'OK' | 'NOT_FOUND' | 'AMBIGUOUS' | 'NOT_YET' | 'NEEDS_WARM';
export type ErrorStatus =
  | 'INVALID_ARGUMENT'
  | 'NULL_POINTER'
  | 'UNSUPPORTED'
  | 'BUFFER_TOO_SMALL'
  | 'ABORTED'
  | 'PANIC'
  | 'STORE'
  | 'STORE_FULL'
  | 'CONNECT'
  | 'TLS'
  | 'UNAUTHORIZED'
  | 'FORBIDDEN'
  | 'NOT_ON_SERVER'
  | 'NOT_PLEX'
  | 'STARTING'
  | 'BAD_ANSWER'
  | 'SERVER_ERROR'
  | 'TIMEOUT'
  | 'REDIRECTED'
  | 'OFFLINE'
  | 'LIBRARY_NOT_FOUND'
  | 'LIBRARY_AMBIGUOUS'
  | 'LIST_AGAIN'
  | 'NOT_FETCHED';
export type MatchKind = 'none' | 'confirmed' | 'exact' | 'mapped' | 'suffix' | 'file_name';
export type Confidence = 'none' | 'low' | 'high';
export type Reason =
  | 'none'
  | 'no_location'
  | 'not_listed'
  | 'not_fetched'
  | 'several_items'
  | 'several_libraries'
  | 'unconfirmed'
  | 'only_root_differs'
  | 'path_tells'
  | 'no_evidence'
  | 'contradicted'
  | 'several_episodes'
  | 'empty'
  | 'above_locations'
  | 'unavailable';
export type RequestKind = 'identity' | 'probe' | 'page' | 'delta' | 'find_path' | 'confirm' | 'edit' | 'events';
export type EditState = 'no' | 'done' | 'failed' | 'missing';
export type Kind = 'movie' | 'show' | 'season' | 'episode' | 'artist' | 'album' | 'track' | 'clip' | 'photo';
export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

/** Counts, as plexindex.h describes them at plexindex_stats. Times are in microseconds. */
export interface Stats {
  answers: Record<MatchKind, number>;
  requests: Record<RequestKind, number>;
  lastFailure: string | null;
  lookupMisses: number;
  staleAnswers: number;
  bytesReceived: number;
  storeRequests: number;
  storeAnswers: number;
  listings: number;
  networkUs: number;
  storeUs: number;
  segmentUs: number;
  items: number;
  matches: number;
  libraries: number;
  diskBytes: number;
  sequence: number;
  events: number;
  hints: number;
  parseUs: number;
  waitUs: number;
  matchUs: number;
  calls: number;
  callsUs: number;
  slowCalls: number;
  failures: number;
  sizeLimit: number;
  overLimit: number;
  evictions: number;
}
