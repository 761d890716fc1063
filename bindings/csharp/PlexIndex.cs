// An index, its libraries and their answers, over Abi.cs.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;

namespace Plexindex
{
/// <summary>Each failure of the library. Not found and ambiguous are answers, not failures.</summary>
public sealed class PlexindexException : Exception
{
    public Status Status { get; }

    internal PlexindexException(Status status, string message) : base(message) { Status = status; }
}

/// <summary>How to open an index. What is not set has its default: plexindex.h.</summary>
public sealed class Options
{
    /// <summary>The folder of the index. It is made.</summary>
    public string CacheDir { get; set; }
    public string ServerUrl { get; set; }
    public string Token { get; set; }
    /// <summary>The user whose view this is: for tokens that change.</summary>
    public string User { get; set; }
    public string CaFile { get; set; }
    /// <summary>Plex's own database, or a folder in which it lies.</summary>
    public string Database { get; set; }
    /// <summary>A PostgreSQL database that several hosts share, without a password.</summary>
    public string Shared { get; set; }
    /// <summary>How long a listing is fresh. Zero: never. Negative: until it is invalidated.</summary>
    public TimeSpan? LibraryTtl { get; set; }
    /// <summary>The deadline of calls that have none of their own. Zero: a call waits for nothing. Negative, as without this: none.</summary>
    public TimeSpan? Deadline { get; set; }
    /// <summary>How long a request that failed is tried again. Zero: not at all.</summary>
    public TimeSpan? Retry { get; set; }
    /// <summary>Items of a listing in one request.</summary>
    public int PageSize { get; set; }
    /// <summary>No request is ever sent.</summary>
    public bool Offline { get; set; }
    /// <summary>Folders as this program names them, and as the server names them.</summary>
    public IDictionary<string, string> Mappings { get; } = new Dictionary<string, string>();
}

/// <summary>An item of Plex. What is not known is null.</summary>
public sealed class Item
{
    public string Key { get; internal set; }
    public string RatingKey { get; internal set; }
    public string Title { get; internal set; }
    public string Guid { get; internal set; }
    public string ShowTitle { get; internal set; }
    public string ShowRatingKey { get; internal set; }
    public string ShowGuid { get; internal set; }
    public string Path { get; internal set; }
    public string Section { get; internal set; }
    public string LibraryTitle { get; internal set; }
    public Kind Kind { get; internal set; }
    public int? Year { get; internal set; }
    public int? Season { get; internal set; }
    public int? Episode { get; internal set; }
}

/// <summary>The answer for one path, folder, GUID or title.</summary>
public sealed class Answer
{
    public Status Status { get; internal set; }
    public MatchKind MatchKind { get; internal set; }
    public Confidence Confidence { get; internal set; }
    /// <summary>Why there is no single item, or what speaks for or against the one found.</summary>
    public Reason Reason { get; internal set; }
    public bool IsStale { get; internal set; }
    /// <summary>The single item; null where there is none: Message says why.</summary>
    public Item Item { get; internal set; }
    public IReadOnlyList<Item> Candidates { get; internal set; }
    public int CandidatesTotal { get; internal set; }
    public string Message { get; internal set; }
    /// <summary>Since the server was last asked about the listing; null if that is not known.</summary>
    public TimeSpan? Age { get; internal set; }
    /// <summary>Of a folder: how many items and files are below it, and what it is.</summary>
    public long Items { get; internal set; }
    public long Files { get; internal set; }
    public Kind Kind { get; internal set; }
}

/// <summary>An open index. Any number of threads may use it.</summary>
public sealed class PlexIndex : IDisposable
{
    private readonly object state = new object();
    private readonly IntPtr handle;
    private int calls;
    private volatile bool closing;

    private PlexIndex(IntPtr handle) { this.handle = handle; }

    /// <summary>Opens an index. Reads the disk only: the first question fetches.</summary>
    public static PlexIndex Open(Options options)
    {
        if (options == null) throw new ArgumentNullException(nameof(options));
        if (options.CacheDir == null) throw new ArgumentNullException(nameof(options.CacheDir));
        if (options.Retry < TimeSpan.Zero) throw Invalid("Retry is negative: " + options.Retry);
        if (options.PageSize < 0) throw Invalid("PageSize is negative: " + options.PageSize);
        if (options.Mappings.Values.Contains(null)) throw new ArgumentNullException(nameof(options.Mappings));
        Native.Load();
        using (var memory = new Memory())
        {
            var filled = new Abi.Options
            {
                size = (UIntPtr)Marshal.SizeOf<Abi.Options>(), cache_dir = memory.Text(options.CacheDir),
                server_url = memory.Text(options.ServerUrl), token = memory.Text(options.Token), user = memory.Text(options.User),
                ca_file = memory.Text(options.CaFile), database = memory.Text(options.Database), shared = memory.Text(options.Shared),
                library_ttl_ms = Ms(options.LibraryTtl, Abi.TTL_AT_ONCE, Abi.TTL_NEVER), deadline_ms = Ms(options.Deadline, 1, Abi.NO_DEADLINE),
                retry_ms = Ms(options.Retry, Abi.NO_RETRY, 0), page_size = (uint)options.PageSize,
                flags = options.Offline ? (uint)Abi.OPEN_OFFLINE : 0, mappings_count = (UIntPtr)options.Mappings.Count,
            };
            int step = Marshal.SizeOf<Abi.Mapping>(), place = 0;
            filled.mappings = memory.Take(step * options.Mappings.Count);
            foreach (KeyValuePair<string, string> pair in options.Mappings)
            {
                var rule = new Abi.Mapping { kind = Abi.MAPPING_HOST_PREFIX, from = memory.Text(pair.Key), to = memory.Text(pair.Value) };
                Marshal.StructureToPtr(rule, filled.mappings + step * place++, false);
            }
            IntPtr opened = IntPtr.Zero;
            Check(IntPtr.Zero, (IntPtr none, ref Abi.Buffer error) => Abi.plexindex_open(ref filled, out opened, ref error));
            return new PlexIndex(opened);
        }
    }

    /// <summary>Milliseconds, at least one. Timeout.InfiniteTimeSpan is negative.</summary>
    internal static long Ms(TimeSpan? time, long ofZero, long ofNegative)
    {
        if (time == null) return 0;
        if (time.Value.Ticks <= 0) return time.Value.Ticks == 0 ? ofZero : ofNegative;
        return Math.Max(1, time.Value.Ticks / TimeSpan.TicksPerMillisecond);
    }

    /// <summary>The failure that the library has for a bad argument.</summary>
    internal static PlexindexException Invalid(string message) => new PlexindexException(Status.InvalidArgument, message);

    /// <summary>The version of the native library.</summary>
    public static string Version
    {
        get
        {
            Native.Load();
            return Memory.String(Abi.plexindex_get_version());
        }
    }

    /// <summary>A library by its uuid, title or section id; without a name all of them. Sends no request.</summary>
    public Library Library(string name = null)
    {
        using (var memory = new Memory())
        {
            Abi.Bytes selector = memory.Text(name);
            IntPtr library = IntPtr.Zero;
            int kind = name == null ? Abi.SELECT_ALL : Abi.SELECT_ANY;
            Run((IntPtr open, ref Abi.Buffer error) => Abi.plexindex_get_library(handle, kind, selector.data, selector.length, out library, ref error));
            return new Library(this, library);
        }
    }

    /// <summary>Replaces the token; null: none.</summary>
    public void SetToken(string token)
    {
        using (var memory = new Memory())
        {
            Abi.Bytes bytes = memory.Text(token);
            Run((IntPtr open, ref Abi.Buffer error) => Abi.plexindex_set_token(handle, bytes.data, bytes.length, ref error));
        }
    }

    /// <summary>Waits for the calls in flight, and cuts fetches short: they and later calls fail.</summary>
    public void Dispose()
    {
        lock (state)
        {
            if (closing) return;
            closing = true;
            while (calls > 0) Monitor.Wait(state);
        }
        GC.SuppressFinalize(this);
        Check(handle, Abi.plexindex_close);
    }

    /// <summary>No call is in flight: it would know the index.</summary>
    ~PlexIndex()
    {
        var none = new Abi.Buffer();
        Abi.plexindex_close(handle, ref none);
    }

    /// <summary>A call of a function of Abi.</summary>
    public delegate int Call(IntPtr index, ref Abi.Buffer error);

    /// <summary>One that fills a buffer, such as Abi.plexindex_get_store_json.</summary>
    public delegate int Filling(IntPtr index, ref Abi.Buffer filled, ref Abi.Buffer error);

    internal bool IsClosing => closing;

    /// <summary>Makes a call, which Dispose() waits for. Gives the status; an error is an exception.</summary>
    public int Run(Call call) => During(() => Check(handle, call));

    /// <summary>Makes a call that fills a buffer, and makes it again with a larger one where it must. Gives the bytes.</summary>
    public byte[] Fill(Filling call)
    {
        for (long capacity = 16384; ; )
        {
            using (var memory = new Memory())
            {
                Abi.Buffer filled = memory.Buffer(capacity);
                int status = Run((IntPtr open, ref Abi.Buffer error) => call(open, ref filled, ref error));
                capacity = (long)filled.length;
                if (status == Abi.BUFFER_TOO_SMALL) continue;
                var bytes = new byte[capacity];
                Marshal.Copy(filled.data, bytes, 0, bytes.Length);
                return bytes;
            }
        }
    }

    internal T During<T>(Func<T> work)
    {
        lock (state)
        {
            if (closing) throw new ObjectDisposedException(nameof(PlexIndex));
            calls++;
        }
        try { return work(); }
        catch (PlexindexException error) when (error.Status == Status.Aborted && closing) { throw new ObjectDisposedException(nameof(PlexIndex)); }
        finally
        {
            lock (state)
            {
                calls--;
                Monitor.PulseAll(state);
            }
        }
    }

    private static int Check(IntPtr index, Call call)
    {
        using (var memory = new Memory())
        {
            Abi.Buffer error = memory.Buffer(2048);
            int status = call(index, ref error);
            if (status < 100 || status == Abi.BUFFER_TOO_SMALL) return status;
            throw new PlexindexException((Status)status, Memory.String(error.data));
        }
    }
}

/// <summary>Memory for a call, which is freed after it.</summary>
internal sealed class Memory : IDisposable
{
    private readonly List<IntPtr> taken = new List<IntPtr>();

    internal IntPtr Take(long size)
    {
        IntPtr memory = Marshal.AllocHGlobal((IntPtr)Math.Max(size, 8));
        taken.Add(memory);
        return memory;
    }

    internal Abi.Buffer Buffer(long capacity) => new Abi.Buffer { data = Take(capacity), capacity = (UIntPtr)(ulong)capacity };

    /// <summary>A text and a NUL behind it, which the length does not count; nothing for null.</summary>
    internal Abi.Bytes Text(string text)
    {
        if (text == null) return new Abi.Bytes();
        byte[] bytes = Encoding.UTF8.GetBytes(text + "\0");
        IntPtr memory = Take(bytes.Length);
        Marshal.Copy(bytes, 0, memory, bytes.Length);
        return new Abi.Bytes { data = memory, length = (UIntPtr)(bytes.Length - 1) };
    }

    internal static string String(IntPtr text)
    {
        if (text == IntPtr.Zero) return null;
        int length = 0;
        while (Marshal.ReadByte(text, length) != 0) length++;
        return String(text, length);
    }

    internal static string String(IntPtr text, int length)
    {
        var bytes = new byte[length];
        Marshal.Copy(text, bytes, 0, length);
        return Encoding.UTF8.GetString(bytes);
    }

    public void Dispose() => taken.ForEach(Marshal.FreeHGlobal);
}
}
