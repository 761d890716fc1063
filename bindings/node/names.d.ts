// Generated from include/plexindex.json by `make header`.

import type { MatchKind } from './methods.js';

/** The status of an answer. */
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
export type RequestKind = 'identity' | 'probe' | 'page' | 'delta' | 'find_path' | 'confirm' | 'scan' | 'events';
export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

/** The fields of plexindex_options, which plexindex.h describes. */
export interface OptionFields {
  cacheDir: string | Uint8Array;
  serverUrl?: string | Uint8Array | undefined;
  token?: string | Uint8Array | undefined;
  user?: string | Uint8Array | undefined;
  caFile?: string | Uint8Array | undefined;
  libraryTtlMs?: number | undefined;
  maxAgeMs?: number | undefined;
  timeoutMs?: number | undefined;
  connectTimeoutMs?: number | undefined;
  readTimeoutMs?: number | undefined;
  retryMs?: number | undefined;
  matchesLimit?: number | undefined;
  pageSize?: number | undefined;
  slowMs?: number | undefined;
  sizeLimit?: number | undefined;
  database?: string | Uint8Array | undefined;
  shared?: string | Uint8Array | undefined;
  staleAnswerTimeoutMs?: number | undefined;
  offline?: boolean | undefined;
  acceptInvalidCerts?: boolean | undefined;
  noMmap?: boolean | undefined;
  obfuscatePaths?: boolean | undefined;
  sharedDurable?: boolean | undefined;
}

/** The fields of plexindex_stats, which plexindex.h describes. Times are in microseconds. */
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
