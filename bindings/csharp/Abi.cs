// Made from include/plexindex.json by `make header`, for 64 bits.
using System;
using System.Runtime.InteropServices;

namespace Plexindex
{
/// <summary>plexindex.h says what each is.</summary>
public enum Status { Ok = 0, NotFound = 1, Ambiguous = 2, NotYet = 3, NeedsWarm = 4, InvalidArgument = 100, NullPointer = 101, Unsupported = 102, BufferTooSmall = 103, Aborted = 104, Panic = 105, Store = 200, StoreFull = 201, Connect = 300, Tls = 301, Unauthorized = 302, Forbidden = 303, NotOnServer = 304, NotPlex = 305, Starting = 306, BadAnswer = 307, ServerError = 308, Timeout = 309, Redirected = 310, Offline = 311, LibraryNotFound = 400, LibraryAmbiguous = 401, ListAgain = 402, NotFetched = 403 }

/// <summary>plexindex.h says what each is.</summary>
public enum MatchKind { None = 0, Confirmed = 1, Exact = 2, Mapped = 3, Suffix = 4, FileName = 5 }

/// <summary>plexindex.h says what each is.</summary>
public enum Confidence { None = 0, Low = 1, High = 2 }

/// <summary>plexindex.h says what each is.</summary>
public enum Reason { None = 0, NoLocation = 1, NotListed = 2, NotFetched = 3, SeveralItems = 4, SeveralLibraries = 5, Unconfirmed = 6, OnlyRootDiffers = 7, PathTells = 8, NoEvidence = 9, Contradicted = 10, SeveralEpisodes = 11, Empty = 12, AboveLocations = 13, Unavailable = 14 }

/// <summary>plexindex.h says what each is.</summary>
public enum Kind { Other = 0, Movie = 1, Show = 2, Season = 3, Episode = 4, Artist = 8, Album = 9, Track = 10, Clip = 12, Photo = 13 }

/// <summary>plexindex.h says what each is.</summary>
public enum MappingKind { HostPrefix = 1, HostPattern = 2, ServerPrefix = 3, ServerPattern = 4 }

/// <summary>plexindex.h says what each is.</summary>
public enum LogLevel { Off = -1, Error = 1, Warn = 2, Info = 3, Debug = 4 }

/// <summary>The C ABI of plexindex, as it is. Native.Load() comes first.</summary>
public static class Abi
{
    public const int ABI_VERSION = 1;
    public const int TTL_AT_ONCE = -1;
    public const int TTL_NEVER = -2;
    public const int NO_DEADLINE = -1;
    public const int NO_RETRY = -1;
    public const int NEVER_SLOW = -1;
    public const int OPEN_OFFLINE = 1;
    public const int OPEN_ACCEPT_INVALID_CERTS = 2;
    public const int OPEN_NO_MMAP = 4;
    public const int OPEN_OBFUSCATE_PATHS = 8;
    public const int OPEN_SHARED_DURABLE = 16;
    public const int MAPPING_HOST_PREFIX = 1;
    public const int MAPPING_HOST_PATTERN = 2;
    public const int MAPPING_SERVER_PREFIX = 3;
    public const int MAPPING_SERVER_PATTERN = 4;
    public const int QUERY_OFFLINE = 1;
    public const int QUERY_FULL = 2;
    public const int QUERY_AT_ONCE = 4;
    public const int QUERY_PROBE = 8;
    public const int TABLE_FOLD_ASCII = 1;
    public const int TABLE_PUT = 1;
    public const int TABLE_REMOVE = 2;
    public const int TABLE_CLEAR = 3;
    public const int RECORD_THROUGH = 1;
    public const int SELECT_ANY = 0;
    public const int SELECT_TITLE = 1;
    public const int SELECT_SECTION = 2;
    public const int SELECT_UUID = 3;
    public const int SELECT_ALL = 4;
    public const int MATCH_NONE = 0;
    public const int MATCH_CONFIRMED = 1;
    public const int MATCH_EXACT = 2;
    public const int MATCH_MAPPED = 3;
    public const int MATCH_SUFFIX = 4;
    public const int MATCH_FILE_NAME = 5;
    public const int CONFIDENCE_NONE = 0;
    public const int CONFIDENCE_LOW = 1;
    public const int CONFIDENCE_HIGH = 2;
    public const int REASON_NONE = 0;
    public const int REASON_NO_LOCATION = 1;
    public const int REASON_NOT_LISTED = 2;
    public const int REASON_NOT_FETCHED = 3;
    public const int REASON_SEVERAL_ITEMS = 4;
    public const int REASON_SEVERAL_LIBRARIES = 5;
    public const int REASON_UNCONFIRMED = 6;
    public const int REASON_ONLY_ROOT_DIFFERS = 7;
    public const int REASON_PATH_TELLS = 8;
    public const int REASON_NO_EVIDENCE = 9;
    public const int REASON_CONTRADICTED = 10;
    public const int REASON_SEVERAL_EPISODES = 11;
    public const int REASON_EMPTY = 12;
    public const int REASON_ABOVE_LOCATIONS = 13;
    public const int REASON_UNAVAILABLE = 14;
    public const int ANSWER_STALE = 1;
    public const int ITEM_PATH_NOT_UTF8 = 1;
    public const int ITEM_KEY_ONLY = 2;
    public const int KIND_OTHER = 0;
    public const int KIND_MOVIE = 1;
    public const int KIND_SHOW = 2;
    public const int KIND_SEASON = 3;
    public const int KIND_EPISODE = 4;
    public const int KIND_ARTIST = 8;
    public const int KIND_ALBUM = 9;
    public const int KIND_TRACK = 10;
    public const int KIND_CLIP = 12;
    public const int KIND_PHOTO = 13;
    public const int REQUEST_IDENTITY = 0;
    public const int REQUEST_PROBE = 1;
    public const int REQUEST_PAGE = 2;
    public const int REQUEST_DELTA = 3;
    public const int REQUEST_FIND_PATH = 4;
    public const int REQUEST_CONFIRM = 5;
    public const int REQUEST_EDIT = 6;
    public const int REQUEST_EVENTS = 7;
    public const int LOG_OFF = -1;
    public const int LOG_ERROR = 1;
    public const int LOG_WARN = 2;
    public const int LOG_INFO = 3;
    public const int LOG_DEBUG = 4;
    public const int OK = 0;
    public const int NOT_FOUND = 1;
    public const int AMBIGUOUS = 2;
    public const int NOT_YET = 3;
    public const int NEEDS_WARM = 4;
    public const int INVALID_ARGUMENT = 100;
    public const int NULL_POINTER = 101;
    public const int UNSUPPORTED = 102;
    public const int BUFFER_TOO_SMALL = 103;
    public const int ABORTED = 104;
    public const int PANIC = 105;
    public const int STORE = 200;
    public const int STORE_FULL = 201;
    public const int CONNECT = 300;
    public const int TLS = 301;
    public const int UNAUTHORIZED = 302;
    public const int FORBIDDEN = 303;
    public const int NOT_ON_SERVER = 304;
    public const int NOT_PLEX = 305;
    public const int STARTING = 306;
    public const int BAD_ANSWER = 307;
    public const int SERVER_ERROR = 308;
    public const int TIMEOUT = 309;
    public const int REDIRECTED = 310;
    public const int OFFLINE = 311;
    public const int LIBRARY_NOT_FOUND = 400;
    public const int LIBRARY_AMBIGUOUS = 401;
    public const int LIST_AGAIN = 402;
    public const int NOT_FETCHED = 403;

    [StructLayout(LayoutKind.Sequential)]
    public struct Bytes
    {
        public IntPtr @data;
        public UIntPtr @length;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct Mapping
    {
        public int @kind;
        public uint @reserved;
        public Bytes @from;
        public Bytes @to;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct Buffer
    {
        public IntPtr @data;
        public UIntPtr @capacity;
        public UIntPtr @length;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct Options
    {
        public UIntPtr @size;
        public Bytes @cache_dir;
        public Bytes @server_url;
        public Bytes @token;
        public Bytes @user;
        public Bytes @ca_file;
        public long @library_ttl_ms;
        public long @max_age_ms;
        public long @deadline_ms;
        public long @connect_timeout_ms;
        public long @read_timeout_ms;
        public long @retry_ms;
        public ulong @matches_limit;
        public uint @flags;
        public uint @page_size;
        public int @log_level;
        public uint @reserved;
        public IntPtr @mappings;
        public UIntPtr @mappings_count;
        public long @slow_ms;
        public ulong @size_limit;
        public Bytes @database;
        public IntPtr @renew_token;
        public IntPtr @renew_token_user;
        public Bytes @shared;
        public long @shared_retry_ms;
        public static Options Create() => new Options { size = (UIntPtr)Marshal.SizeOf<Options>() };
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct Progress
    {
        public UIntPtr @size;
        public Bytes @library;
        public ulong @items;
        public ulong @total;
        public ulong @elapsed_ms;
        public static Progress Create() => new Progress { size = (UIntPtr)Marshal.SizeOf<Progress>() };
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct Query
    {
        public UIntPtr @size;
        public IntPtr @library;
        public Bytes @text;
        public long @deadline_ms;
        public uint @flags;
        public uint @reserved;
        public IntPtr @progress;
        public IntPtr @progress_user;
        public static Query Create() => new Query { size = (UIntPtr)Marshal.SizeOf<Query>(), progress = CurrentCall.Progress };
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct Text
    {
        public uint @offset;
        public uint @length;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct Answer
    {
        public int @status;
        public byte @match_kind;
        public byte @confidence;
        public byte @reason;
        public byte @flags;
        public uint @item;
        public uint @candidates;
        public uint @candidates_count;
        public uint @candidates_total;
        public Text @message;
        public long @age_ms;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct Item
    {
        public Text @key;
        public Text @rating_key;
        public Text @title;
        public Text @guid;
        public Text @show_title;
        public Text @show_rating_key;
        public Text @show_guid;
        public Text @path;
        public Text @section;
        public Text @library_title;
        public int @kind;
        public int @year;
        public int @season;
        public int @episode;
        public uint @flags;
        public uint @reserved;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct Stats
    {
        public UIntPtr @size;
        [MarshalAs(UnmanagedType.ByValArray, SizeConst = 6)]
        public ulong[] @answers;
        public ulong @lookup_misses;
        public ulong @stale_answers;
        [MarshalAs(UnmanagedType.ByValArray, SizeConst = 8)]
        public ulong[] @requests;
        public ulong @bytes_received;
        public ulong @store_requests;
        public ulong @store_answers;
        public ulong @listings;
        public ulong @network_us;
        public ulong @store_us;
        public ulong @segment_us;
        public ulong @items;
        public ulong @matches;
        public ulong @libraries;
        public ulong @disk_bytes;
        public ulong @sequence;
        public ulong @events;
        public ulong @hints;
        public ulong @parse_us;
        public ulong @wait_us;
        public ulong @match_us;
        public ulong @calls;
        public ulong @calls_us;
        public ulong @slow_calls;
        public ulong @failures;
        public ulong @size_limit;
        public ulong @over_limit;
        public ulong @evictions;
        [MarshalAs(UnmanagedType.ByValArray, SizeConst = 512)]
        public byte[] @last_failure;
        public static Stats Create() => new Stats { size = (UIntPtr)Marshal.SizeOf<Stats>() };
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct CallOptions
    {
        public UIntPtr @size;
        public long @deadline_ms;
        public IntPtr @progress;
        public IntPtr @progress_user;
        public static CallOptions Create() => new CallOptions { size = (UIntPtr)Marshal.SizeOf<CallOptions>(), progress = CurrentCall.Progress };
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct TableOp
    {
        public int @kind;
        public uint @reserved;
        public IntPtr @table;
        public Bytes @name;
        public Bytes @value;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct Answers
    {
        public uint @size;
        public uint @answer_size;
        public uint @item_size;
        public uint @count;
        public uint @first;
        public uint @log_lines;
    }

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public delegate int RenewTokenFn(IntPtr user, IntPtr token);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public delegate int ProgressFn(IntPtr user, IntPtr progress);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public delegate void LogFn(IntPtr user, int level, IntPtr message, UIntPtr length);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern uint plexindex_get_abi_version();

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern IntPtr plexindex_get_version();

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern IntPtr plexindex_get_status_name(int status);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_open(ref Options options, out IntPtr out_handle, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_set_token(IntPtr handle, IntPtr token, UIntPtr token_length, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_close(IntPtr handle, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_get_library(IntPtr handle, int kind, IntPtr selector, UIntPtr selector_length, out IntPtr out_library, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern IntPtr plexindex_lookup_key(IntPtr library, IntPtr path);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_lookup_keys(IntPtr library, IntPtr paths, UIntPtr paths_length, UIntPtr count, ref Buffer out_keys, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_match_path(IntPtr handle, ref Query query, ref Buffer out_answer, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_match_paths(IntPtr handle, ref Query query, UIntPtr count, ref Buffer out_answers, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern UIntPtr plexindex_count_answers(ref Buffer block);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern IntPtr plexindex_get_answer(ref Buffer block, UIntPtr place);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern IntPtr plexindex_get_item(ref Buffer block, IntPtr answer);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern IntPtr plexindex_get_candidate(ref Buffer block, IntPtr answer, UIntPtr place);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern IntPtr plexindex_get_text(ref Buffer block, IntPtr text);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_record_match(IntPtr library, IntPtr path, UIntPtr path_length, IntPtr key, UIntPtr key_length, long deadline_ms, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_record_matches(IntPtr library, IntPtr paths, UIntPtr paths_length, IntPtr keys, UIntPtr keys_length, UIntPtr count, uint flags, long deadline_ms, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_invalidate_path(IntPtr library, IntPtr path, UIntPtr path_length, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_invalidate_item(IntPtr library, IntPtr key, UIntPtr key_length, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_invalidate_library(IntPtr library, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_clear(IntPtr handle, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_refresh(IntPtr handle, ref Query query, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_get_stats(IntPtr handle, ref Stats out_stats, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_drain_log(LogFn receive, IntPtr user, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_call(IntPtr handle, IntPtr method, IntPtr request, UIntPtr request_length, ref CallOptions options, out IntPtr out_json, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern void plexindex_free(IntPtr json);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_notify(IntPtr handle, IntPtr body, UIntPtr body_length, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_wake_waiting(IntPtr handle, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_get_table(IntPtr handle, IntPtr name, UIntPtr name_length, uint flags, out IntPtr out_table, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_table_lookup(IntPtr table, IntPtr name, out IntPtr out_value);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_table_get(IntPtr table, IntPtr name, UIntPtr name_length, ref Buffer out_value, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_table_put(IntPtr table, IntPtr name, UIntPtr name_length, IntPtr value, UIntPtr value_length, long ttl_ms, ulong limit, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_table_remove(IntPtr table, IntPtr name, UIntPtr name_length, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_table_write(IntPtr handle, IntPtr ops, UIntPtr count, long ttl_ms, ulong limit, ref Buffer error);

    [DllImport("plexindex", CallingConvention = CallingConvention.Cdecl)]
    public static extern int plexindex_table_get_next(IntPtr table, IntPtr after, UIntPtr after_length, ref Buffer out_name, ref Buffer error);
}
}
