// An index, its libraries and their answers, over Abi.cs.
using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Plexindex
{
/// <summary>Each failure of the library. Not found and ambiguous are answers, not failures.</summary>
public sealed class PlexindexException : Exception
{
    public Status Status { get; }
    /// <summary>What a method answers also when it fails: of `edit` how far it came.</summary>
    [MaybeNull] public string Answer { get; internal set; }

    internal PlexindexException(Status status, string message, Exception inner = null) : base(message, inner) { Status = status; }
}

/// <summary>An item of Plex. What is not known is null.</summary>
public sealed class Item
{
    public string Key { get; internal set; }
    public string RatingKey { get; internal set; }
    [MaybeNull] public string Title { get; internal set; }
    [MaybeNull] public string Guid { get; internal set; }
    [MaybeNull] public string ShowTitle { get; internal set; }
    [MaybeNull] public string ShowRatingKey { get; internal set; }
    [MaybeNull] public string ShowGuid { get; internal set; }
    [MaybeNull] public string Path { get; internal set; }
    [MaybeNull] public string Section { get; internal set; }
    [MaybeNull] public string LibraryTitle { get; internal set; }
    public Kind Kind { get; internal set; }
    public int? Year { get; internal set; }
    public int? Season { get; internal set; }
    public int? Episode { get; internal set; }
    /// <summary>Only the keys are known, as no listing has the item.</summary>
    public bool KeyOnly { get; internal set; }
}

/// <summary>The answer for one path.</summary>
public sealed class Answer
{
    public Status Status { get; internal set; }
    public MatchKind MatchKind { get; internal set; }
    public Confidence Confidence { get; internal set; }
    /// <summary>Why there is no single item, or what speaks for or against the one found.</summary>
    public Reason Reason { get; internal set; }
    public bool IsStale { get; internal set; }
    /// <summary>The single item; null where there is none: Message says why.</summary>
    [MaybeNull] public Item Item { get; internal set; }
    public IReadOnlyList<Item> Candidates { get; internal set; }
    public int CandidatesTotal { get; internal set; }
    [MaybeNull] public string Message { get; internal set; }
    /// <summary>Since the server was last asked about the listing; null if that is not known.</summary>
    public TimeSpan? Age { get; internal set; }
}

/// <summary>An open index. Any number of threads may use it.</summary>
public sealed class PlexIndex : IDisposable
{
    private readonly object state = new object();
    private readonly IntPtr handle;
    private int calls;
    private volatile bool closing;

    internal TokenSource RenewToken { get; }

    private PlexIndex(IntPtr handle, TokenSource renewToken)
    {
        this.handle = handle;
        RenewToken = renewToken;
    }

    /// <summary>Opens an index. Reads the disk only: the first question fetches.</summary>
    public static PlexIndex Open(Options options)
    {
        if (options == null) throw new ArgumentNullException(nameof(options));
        if (options.CacheDir == null) throw new ArgumentNullException(nameof(options.CacheDir));
        if (options.Mappings.Contains(null)) throw new ArgumentNullException(nameof(options.Mappings));
        Native.Load();
        using (var memory = new Memory())
        {
            Abi.Options filled = Abi.Options.Create();
            filled.cache_dir = memory.Text(options.CacheDir);
            filled.server_url = memory.Text(options.ServerUrl);
            filled.token = memory.Text(options.Token);
            filled.renew_token = options.RenewToken == null ? IntPtr.Zero : CurrentCall.RenewToken;
            filled.user = memory.Text(options.User);
            filled.ca_file = memory.Text(options.CaFile);
            filled.database = memory.Text(options.Database);
            filled.shared = memory.Text(options.Shared);
            filled.shared_retry_ms = Positive(options.SharedRetry, nameof(options.SharedRetry), Abi.NO_RETRY);
            filled.library_ttl_ms = Ms(options.LibraryTtl, Abi.TTL_AT_ONCE, Abi.TTL_NEVER);
            filled.max_age_ms = Ms(options.MaxAge, 1, long.MaxValue);
            filled.deadline_ms = DeadlineMs(options.Deadline);
            filled.connect_timeout_ms = Positive(options.ConnectTimeout, nameof(options.ConnectTimeout), 1);
            filled.read_timeout_ms = Positive(options.ReadTimeout, nameof(options.ReadTimeout), 1);
            filled.retry_ms = Positive(options.Retry, nameof(options.Retry), Abi.NO_RETRY);
            filled.slow_ms = Ms(options.Slow, 1, Abi.NEVER_SLOW);
            filled.page_size = (uint)Positive(options.PageSize, nameof(options.PageSize));
            filled.matches_limit = Positive(options.MatchesLimit, nameof(options.MatchesLimit));
            filled.size_limit = Positive(options.SizeLimit, nameof(options.SizeLimit));
            filled.log_level = (int)(options.LogLevel ?? 0);
            filled.flags = options.Flags;
            filled.mappings_count = (UIntPtr)options.Mappings.Count;
            int step = Marshal.SizeOf<Abi.Mapping>(), place = 0;
            filled.mappings = memory.Take(step * options.Mappings.Count);
            foreach (Mapping mapping in options.Mappings)
            {
                var rule = new Abi.Mapping { kind = (int)mapping.Kind, from = memory.Text(mapping.From), to = memory.Text(mapping.To) };
                Marshal.StructureToPtr(rule, filled.mappings + step * place++, false);
            }
            IntPtr opened = IntPtr.Zero;
            Check(IntPtr.Zero, (IntPtr none, ref Abi.Buffer error) => Abi.plexindex_open(ref filled, out opened, ref error));
            return new PlexIndex(opened, options.RenewToken);
        }
    }

    /// <summary>What is left of a time that has passed is negative, too: only one value is no deadline.</summary>
    internal static long DeadlineMs(TimeSpan? time) => time == Timeout.InfiniteTimeSpan ? Abi.NO_DEADLINE : Ms(time, 1, 1);

    /// <summary>Milliseconds, at least one.</summary>
    private static long Ms(TimeSpan? time, long ofZero, long ofNegative)
    {
        if (time == null) return 0;
        if (time.Value.Ticks <= 0) return time.Value.Ticks == 0 ? ofZero : ofNegative;
        return Math.Max(1, time.Value.Ticks / TimeSpan.TicksPerMillisecond);
    }

    private static long Positive(TimeSpan? time, string name, long ofZero)
    {
        if (time < TimeSpan.Zero) throw Invalid($"{name} is negative: {time}");
        return Ms(time, ofZero, 0);
    }

    private static ulong Positive(long number, string name)
    {
        if (number < 0) throw Invalid($"{name} is negative: {number}");
        return (ulong)number;
    }

    /// <summary>The failure that the library has for a bad argument.</summary>
    internal static PlexindexException Invalid(string message) => new PlexindexException(Status.InvalidArgument, message);

    /// <summary>The version of the native library.</summary>
    public static string Version
    {
        get
        {
            Native.Load();
            // Mono looks for a function when it compiles the method that calls it, which is before Load() here.
            Func<IntPtr> version = () => Abi.plexindex_get_version();
            return Memory.String(version());
        }
    }

    /// <summary>The log lines that wait, oldest first: 256 at most for the whole process.</summary>
    public static IReadOnlyList<LogLine> DrainLog()
    {
        Native.Load();
        var lines = new List<LogLine>();
        Exception raised = null;
        Abi.LogFn receive = (user, level, message, length) =>
        {
            try { lines.Add(new LogLine { Level = (LogLevel)level, Message = Memory.String(message, (int)length) }); }
            catch (Exception error) { raised = CurrentCall.Keep(error); }
        };
        Check(IntPtr.Zero, (IntPtr none, ref Abi.Buffer error) => Abi.plexindex_drain_log(receive, IntPtr.Zero, ref error));
        CurrentCall.Throw(raised);
        return lines;
    }

    /// <summary>A library by its uuid, title or section id; without a name all of them. Sends no request.</summary>
    public Library Library([AllowNull] string name = null)
    {
        using (var memory = new Memory())
        {
            Abi.Bytes selector = memory.Text(name);
            IntPtr library = IntPtr.Zero;
            int kind = name == null ? Abi.SELECT_ALL : Abi.SELECT_ANY;
            Run((IntPtr open, ref Abi.Buffer error) => Abi.plexindex_get_library(handle, kind, selector.data, selector.length, out library, ref error));
            return new Library(this, library, name);
        }
    }

    /// <summary>
    /// Calls a method by its name: docs/methods.md describes each. Request and answer are JSON. Of the query the deadline
    /// and the progress count; `offline` and the like are fields of the request. `status` is Ok, or such as NotFound.
    /// </summary>
    public string Call(
        string method, [AllowNull] string request, out Status status, [AllowNull] Query query = null,
        CancellationToken cancel = default(CancellationToken))
    {
        if (method == null) throw new ArgumentNullException(nameof(method));
        if (query != null && query.Flags != 0)
            throw Invalid("Offline, Check and Full are no limits of a method: see its request");
        using (var memory = new Memory())
        {
            Abi.Bytes name = memory.Text(method), asked = memory.Text(request);
            Abi.CallOptions limits = Abi.CallOptions.Create();
            limits.deadline_ms = DeadlineMs(query?.Deadline);
            IntPtr answer = IntPtr.Zero;
            try
            {
                status = (Status)Run((IntPtr open, ref Abi.Buffer error) => Abi.plexindex_call(
                    open, name.data, asked.data, asked.length, ref limits, out answer, ref error), query?.Progress, cancel);
                return Memory.String(answer);
            }
            catch (PlexindexException error)
            {
                error.Answer = Memory.String(answer);
                throw;
            }
            finally { Abi.plexindex_free(answer); }
        }
    }

    public string Call(
        string method, [AllowNull] string request = null, [AllowNull] Query query = null,
        CancellationToken cancel = default(CancellationToken))
    {
        Status status;
        return Call(method, request, out status, query, cancel);
    }

    /// <summary>Call() on a thread of its own.</summary>
    public Task<string> CallAsync(
        string method, [AllowNull] string request = null, [AllowNull] Query query = null,
        CancellationToken cancel = default(CancellationToken)) =>
        Async(query, cancel, own => Call(method, request, own, cancel));

    /// <summary>Replaces the token; null: none.</summary>
    public void SetToken([AllowNull] string token)
    {
        using (var memory = new Memory())
        {
            Abi.Bytes bytes = memory.Text(token);
            Run((IntPtr open, ref Abi.Buffer error) => Abi.plexindex_set_token(handle, bytes.data, bytes.length, ref error));
        }
    }

    /// <summary>Waits for the calls in flight, and cuts fetches and waits short: they and later calls fail.</summary>
    public void Dispose()
    {
        if (CurrentCall.IsIn(this)) throw new InvalidOperationException("a call of this index cannot close it: end the call first");
        lock (state)
        {
            if (closing) return;
            closing = true;
            if (calls > 0) Check(handle, Abi.plexindex_wake_waiting);
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
    public delegate int Calling(IntPtr index, ref Abi.Buffer error);

    /// <summary>One that fills a buffer, such as Abi.plexindex_table_get.</summary>
    public delegate int Filling(IntPtr index, ref Abi.Buffer filled, ref Abi.Buffer error);

    internal bool IsClosing => closing;

    /// <summary>
    /// Makes a call, which Dispose() waits for. Gives the status; an error is an exception. Dispose() and the token end an
    /// Abi.Query.Create() or Abi.CallOptions.Create() that waits, unless its `progress` is replaced.
    /// </summary>
    public int Run(Calling call, CancellationToken cancel = default(CancellationToken)) => Run(call, null, cancel);

    internal int Run(Calling call, IProgress<FetchProgress> progress, CancellationToken cancel)
    {
        if (call == null) throw new ArgumentNullException(nameof(call));
        cancel.ThrowIfCancellationRequested();
        return During(() =>
        {
            var current = new CurrentCall(this, progress, cancel);
            try
            {
                int status = Check(handle, call);
                current.EndThread();
                return status;
            }
            catch (PlexindexException error)
            {
                current.EndThread();
                throw current.Failure(error);
            }
            finally { current.End(); }
        });
    }

    /// <summary>Makes a call that fills a buffer, and makes it again with a larger one where it must. Gives the bytes.</summary>
    public byte[] Fill(Filling call, CancellationToken cancel = default(CancellationToken))
    {
        if (call == null) throw new ArgumentNullException(nameof(call));
        return Fill(call, 16384, null, cancel, (filled, status) => Memory.Bytes(filled.data, (int)filled.length));
    }

    /// <summary>The same, with what is read of the buffer and the status.</summary>
    internal T Fill<T>(Filling call, long capacity, IProgress<FetchProgress> progress, CancellationToken cancel, Func<Abi.Buffer, int, T> read)
    {
        for (; ; )
        {
            using (var memory = new Memory())
            {
                Abi.Buffer filled = memory.Buffer(capacity);
                int status = Run((IntPtr open, ref Abi.Buffer error) => call(open, ref filled, ref error), progress, cancel);
                if (status != Abi.BUFFER_TOO_SMALL) return read(filled, status);
                capacity = Plexindex.Library.Grown((long)filled.length);
            }
        }
    }

    /// <summary>A question on a thread of its own, as it may wait: the threads of the pool are few.</summary>
    internal static Task<T> Async<T>(Query query, CancellationToken cancel, Func<Query, T> ask)
    {
        Query own = query?.Copy();
        const TaskCreationOptions apart = TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach;
        return Task.Factory.StartNew(() => ask(own), cancel, apart, TaskScheduler.Default);
    }

    internal T During<T>(Func<T> work)
    {
        lock (state)
        {
            if (closing) throw new ObjectDisposedException(nameof(PlexIndex));
            calls++;
        }
        try { return work(); }
        finally
        {
            lock (state)
            {
                calls--;
                Monitor.PulseAll(state);
            }
        }
    }

    private static int Check(IntPtr index, Calling call)
    {
        using (var memory = new Memory())
        {
            Abi.Buffer error = memory.Buffer(2048);
            int status = 0;
            // Mono aborts no thread in a `finally`. Elsewhere it does as soon as the library calls back, and leaves the
            // library's frames behind, so that the thread never ends.
            try { }
            finally { status = call(index, ref error); }
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
    internal Abi.Bytes Text(string text) => Text(Bytes(text));

    internal Abi.Bytes Text(byte[] bytes)
    {
        if (bytes == null) return new Abi.Bytes();
        IntPtr memory = Take(bytes.LongLength + 1);
        Marshal.Copy(bytes, 0, memory, bytes.Length);
        Marshal.WriteByte(memory, bytes.Length, 0);
        return new Abi.Bytes { data = memory, length = (UIntPtr)bytes.Length };
    }

    internal static byte[] Bytes(string text) => text == null ? null : Encoding.UTF8.GetBytes(text);

    internal static string String(IntPtr text)
    {
        if (text == IntPtr.Zero) return null;
        int length = 0;
        while (Marshal.ReadByte(text, length) != 0) length++;
        return String(text, length);
    }

    internal static string String(IntPtr text, int length) => Encoding.UTF8.GetString(Bytes(text, length));

    internal static byte[] Bytes(IntPtr memory, int length)
    {
        var bytes = new byte[length];
        Marshal.Copy(memory, bytes, 0, length);
        return bytes;
    }

    public void Dispose() => taken.ForEach(Marshal.FreeHGlobal);
}
}
