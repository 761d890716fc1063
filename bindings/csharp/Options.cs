// How to open an index, and how to ask it.
using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;

namespace Plexindex
{
/// <summary>Gives a new token; null: there is none now.</summary>
#if NETCOREAPP
public delegate string? TokenSource(); // lambdas heed no attribute
#else
public delegate string TokenSource();
#endif

/// <summary>How to open an index. What is not set has its default. docs/c.md and plexindex.h say more of each.</summary>
public sealed class Options
{
    /// <summary>The folder of the index. It is made.</summary>
    public string CacheDir { get; set; }
    [AllowNull, MaybeNull] public string ServerUrl { get; set; }
    [AllowNull, MaybeNull] public string Token { get; set; }
    /// <summary>
    /// Called when the server refuses the token that there is (401), or says that it expired (498), on the thread of the
    /// refused call, which is made again with the new token. Without one the index answers with what it has, or the call
    /// fails with Status.Unauthorized, whose InnerException is what the function threw.
    /// </summary>
    [AllowNull, MaybeNull] public TokenSource RenewToken { get; set; }
    /// <summary>The user whose view this is: for tokens that change.</summary>
    [AllowNull, MaybeNull] public string User { get; set; }
    /// <summary>A PEM file with certificate authorities to trust instead of the system's.</summary>
    [AllowNull, MaybeNull] public string CaFile { get; set; }
    /// <summary>Any certificate is accepted. Opening logs a warning.</summary>
    public bool AcceptInvalidCerts { get; set; }
    /// <summary>Plex's own database, or a folder in which it lies.</summary>
    [AllowNull, MaybeNull] public string Database { get; set; }
    /// <summary>A PostgreSQL database that several hosts share, without a password.</summary>
    [AllowNull, MaybeNull] public string Shared { get; set; }
    /// <summary>For how long a host without the shared log asks for no listing. Default: a minute. Zero: it asks at once.</summary>
    public TimeSpan? SharedRetry { get; set; }
    /// <summary>A write for other hosts is forced to the disk before its call returns.</summary>
    public bool SharedDurable { get; set; }
    /// <summary>How long a listing is fresh. Default: an hour. Zero: never. Negative: until it is invalidated.</summary>
    public TimeSpan? LibraryTtl { get; set; }
    /// <summary>After how long a full listing is due, even without a change. Default: a day. Negative: never.</summary>
    public TimeSpan? MaxAge { get; set; }
    /// <summary>The deadline of calls that have none of their own. Default: none. Zero or negative: a call waits for nothing.</summary>
    public TimeSpan? Deadline { get; set; }
    /// <summary>How long making a connection may take. Default: 5 seconds.</summary>
    public TimeSpan? ConnectTimeout { get; set; }
    /// <summary>How long the server may be silent. Default: a minute; for a question without a listing 15 seconds.</summary>
    public TimeSpan? ReadTimeout { get; set; }
    /// <summary>How long a request that failed is tried again. Default: 30 seconds. Zero: not at all.</summary>
    public TimeSpan? Retry { get; set; }
    /// <summary>A call that takes longer is logged with its parts. Default: a second. Negative: none is.</summary>
    public TimeSpan? Slow { get; set; }
    /// <summary>Items of a listing in one request, 1,000 at most.</summary>
    public int PageSize { get; set; }
    /// <summary>Bytes that recorded matches may take; the oldest are removed first. Default: 50 MiB.</summary>
    public long MatchesLimit { get; set; }
    /// <summary>Bytes that the folder may take: libraries refreshed longest ago are removed. Default: no limit.</summary>
    public long SizeLimit { get; set; }
    /// <summary>What is logged: PlexIndex.DrainLog(). It holds for the whole process. Default: warnings.</summary>
    public LogLevel? LogLevel { get; set; }
    /// <summary>A short hash names media paths in log lines and errors.</summary>
    public bool ObfuscatePaths { get; set; }
    /// <summary>Index files are read into memory instead of mapped.</summary>
    public bool NoMmap { get; set; }
    /// <summary>No request is ever sent.</summary>
    public bool Offline { get; set; }
    /// <summary>Rules between the paths of this program and those of the server. The first that fits counts.</summary>
    public IList<Mapping> Mappings { get; } = new List<Mapping>();

    internal uint Flags =>
        (Offline ? (uint)Abi.OPEN_OFFLINE : 0) | (AcceptInvalidCerts ? (uint)Abi.OPEN_ACCEPT_INVALID_CERTS : 0) | (NoMmap ? (uint)Abi.OPEN_NO_MMAP : 0)
        | (ObfuscatePaths ? (uint)Abi.OPEN_OBFUSCATE_PATHS : 0) | (SharedDurable ? (uint)Abi.OPEN_SHARED_DURABLE : 0);
}

/// <summary>A folder as this program names it, and as the server names it; or a rule of another kind.</summary>
public sealed class Mapping
{
    public MappingKind Kind { get; }
    public string From { get; }
    public string To { get; }

    /// <summary>Of a pattern `from` is a regular expression, and `to` has `\1`, `\g&lt;1&gt;` or `\g&lt;name&gt;` for its groups.</summary>
    public Mapping(string from, string to, MappingKind kind = MappingKind.HostPrefix)
    {
        From = from ?? throw new ArgumentNullException(nameof(from));
        To = to ?? throw new ArgumentNullException(nameof(to));
        Kind = kind;
    }
}

/// <summary>How to ask. One may serve any number of calls.</summary>
public sealed class Query
{
    /// <summary>
    /// How long the call may take. Zero, or negative as what is left of a time that has passed: it waits for nothing. Only
    /// Timeout.InfiniteTimeSpan: as long as it takes. When it passes the status is NotYet, or NeedsWarm if nothing came
    /// from the server.
    /// </summary>
    public TimeSpan? Deadline { get; set; }
    /// <summary>The call sends no request, and answers with what is known.</summary>
    public bool Offline { get; set; }
    /// <summary>
    /// Told on the call's thread how far a fetch is, at least every 100 ms. What Report() throws ends the call and comes out
    /// of it; a System.Progress hands its reports to other threads.
    /// </summary>
    [AllowNull, MaybeNull] public IProgress<FetchProgress> Progress { get; set; }
    /// <summary>For Refresh() only: asks the server once for changes, also where the listings are fresh.</summary>
    public bool Check { get; set; }
    /// <summary>For Refresh() only: fetches a full listing, and believes it.</summary>
    public bool Full { get; set; }

    internal Query Copy() => (Query)MemberwiseClone();

    internal uint Flags => (Offline ? (uint)Abi.QUERY_OFFLINE : 0) | (Check ? (uint)Abi.QUERY_PROBE : 0) | (Full ? (uint)Abi.QUERY_FULL : 0);
}

/// <summary>How far a fetch has come.</summary>
public sealed class FetchProgress
{
    /// <summary>The library's title; empty while the call waits for something else.</summary>
    public string Library { get; internal set; }
    public long Items { get; internal set; }
    /// <summary>Items in all; 0 when the server does not say.</summary>
    public long Total { get; internal set; }
    public TimeSpan Elapsed { get; internal set; }
}

/// <summary>A line of the library's log. It holds no token, and full paths only at LogLevel.Debug.</summary>
public sealed class LogLine
{
    public LogLevel Level { get; internal set; }
    public string Message { get; internal set; }
}
}

#if !NETCOREAPP
namespace System.Diagnostics.CodeAnalysis
{
// What may be null: Mono's compiler knows no `string?`, nor these.
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Parameter)]
internal sealed class AllowNullAttribute : Attribute { }

[AttributeUsage(AttributeTargets.Property | AttributeTargets.ReturnValue)]
internal sealed class MaybeNullAttribute : Attribute { }
}
#endif
