// The layout of the declarations, and the classes over them.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;
using Plexindex;

public static class Test
{
    const string ABI = "../../docs/abi.txt";
    static int failed;

    static void Check(string what, bool holds)
    {
        Console.WriteLine((holds ? "PASS: " : "FAIL: ") + what);
        if (!holds) failed++;
    }

    static IEnumerable<string> Layout()
    {
        foreach (Type type in typeof(Abi).GetNestedTypes().Where(type => type.IsValueType))
            foreach (FieldInfo field in type.GetFields())
                yield return $"{Marshal.SizeOf(type)} {type.Name}.{field.Name} {Marshal.OffsetOf(type, field.Name)}";
    }

    static IEnumerable<string> Recorded(string abi)
    {
        int size = 0;
        foreach (string line in File.ReadLines(abi))
        {
            string[] words = line.Split(new[] { ' ' }, StringSplitOptions.RemoveEmptyEntries);
            if (line.StartsWith("struct ")) size = int.Parse(words[2]);
            if (!line.StartsWith("    ")) continue;
            string[] names = words[2].Split('.');
            string type = string.Concat(names[0].Split('_').Skip(1).Select(part => char.ToUpper(part[0]) + part.Substring(1)));
            yield return $"{size} {type}.{names[1]} {words[0]}";
        }
    }

    static Exception Thrown(Action call)
    {
        try { call(); }
        catch (Exception error) { return error; }
        return null;
    }

    static string Failure(Action call)
    {
        Exception thrown = Thrown(call);
        var error = thrown as PlexindexException;
        return error != null ? $"{error.Status}: {error.Message}" : thrown == null ? "none" : thrown.GetType().Name;
    }

    static void Questions(string folder, string[][] facts)
    {
        string[] movie = facts.First(line => line[0] == "movie"), repeated = facts.First(line => line[0] == "repeated");
        string token = Environment.GetEnvironmentVariable("PLEXINDEX_TEST_TOKEN");
        var options = new Options { CacheDir = Path.Combine(folder, "one"), ServerUrl = Environment.GetEnvironmentVariable("PLEXINDEX_TEST_URL"), Token = token };
        options.Mappings.Add(new Mapping("/here", "/nowhere"));
        PlexIndex index = PlexIndex.Open(options);
        Library movies = index.Library("Movies");
        Check("nothing is at hand at first", movies.LookupKey(movie[3]) == null);
        Answer found = movies.Match(movie[3]);
        Check("a file is found", found.Status == Status.Ok && found.Item.Key == movie[1] && found.Item.Title == movie[2]
            && found.Confidence == Confidence.High && found.Item.Kind == Kind.Movie && found.MatchKind == MatchKind.Exact && !found.Item.KeyOnly);
        Check("its key is at hand", movies.LookupKey(movie[3]) == movie[1] && movies.LookupKey("a\0b") == null);
        string[] paths = new[] { "/nowhere/x.mkv" }.Concat(facts.Where(line => line[0] == "movie").Select(line => line[3])).ToArray();
        IReadOnlyList<Answer> all = movies.MatchAll(paths);
        Check("many files", all.Count == paths.Length && all[0].Reason == Reason.NoLocation && all[1].Item.Key == movie[1]);
        Answer several = movies.Match("/somewhere/else/" + repeated[1]);
        Check("candidates", several.Status == Status.Ambiguous && several.Item == null && several.Candidates.Count > 1);
        movies.RecordMatch("/own/ä.mkv", movie[1]);
        Check("a recorded match", movies.Match("/own/ä.mkv").MatchKind == MatchKind.Confirmed);
        byte[] latin = System.Text.Encoding.GetEncoding("ISO-8859-1").GetBytes("/own/ä.mkv");
        movies.RecordMatch(latin, movie[1]);
        Check("a path that is no UTF-8", movies.LookupKey(latin) == movie[1] && movies.Match(latin).MatchKind == MatchKind.Confirmed
            && movies.Match("/own/\ufffd.mkv").Status == Status.NotFound);
        movies.InvalidatePath(latin);
        Check("and is invalidated", movies.LookupKey(latin) == null);
        movies.InvalidatePath("/own/ä.mkv");
        Check("an invalidated one", movies.Match("/own/ä.mkv").Status == Status.NotFound);
        string failure = Failure(() => index.Library("None 7").Match("/x"));
        Check("an error", failure.StartsWith("LibraryNotFound: ") && failure.Contains("'None 7'"));
        int right = 0;
        Parallel.For(0, 8, number => {
            if (Failure(() => index.Library("None " + number).Match("/x")).Contains($"'None {number}'")) Interlocked.Increment(ref right);
        });
        Check("each thread has its own error", right == 8);
        index.Dispose();
        index.Dispose();
        Check("a closed index", Failure(() => movies.LookupKey(movie[3])) == "ObjectDisposedException"
            && Failure(() => movies.Match(movie[3])) == "ObjectDisposedException");
        string slow = Environment.GetEnvironmentVariable("PLEXINDEX_TEST_SLOW_URL");
        FetchProgress(new Options { CacheDir = Path.Combine(folder, "slow"), ServerUrl = slow, Token = token, PageSize = 25 });
        Waiting(new Options { CacheDir = Path.Combine(folder, "two"), ServerUrl = slow, Token = token, PageSize = 25 });
        OptionsReachLibrary(Path.Combine(folder, "five"), movie[3]);
        Methods(Path.Combine(folder, "seven"), facts);
        Async(Path.Combine(folder, "eight"));
    }

    // On the call's thread, unlike Progress<T>.
    sealed class Listener : IProgress<FetchProgress>
    {
        public Action<FetchProgress> Call;
        public void Report(FetchProgress progress) => Call(progress);
    }

    // Progress is reported on the call's thread, and what it throws ends its call, and only that.
    static void FetchProgress(Options options)
    {
        using (PlexIndex index = PlexIndex.Open(options))
        {
            Library movies = index.Library("Movies");
            FetchProgress last = null;
            using (var cancel = new CancellationTokenSource())
            {
                var listener = new Listener { Call = one => { last = one; if (one.Items > 0) cancel.Cancel(); } };
                Check("progress may cancel", Failure(() => movies.Refresh(new Query { Progress = listener }, cancel.Token)) == "OperationCanceledException"
                    && last.Library == "Movies" && last.Items > 0 && last.Total == 1500 && last.Elapsed >= TimeSpan.Zero);
            }
            var mine = new FormatException("mine");
            Check("what it throws comes out", Thrown(() => movies.Refresh(new Query { Progress = new Listener { Call = one => { throw mine; } } })) == mine);
            string inside = null;
            Answer answer = movies.Match("/x", new Query { Progress = new Listener { Call = one => {
                GC.Collect();
                inside = movies.Match("/y", new Query { Offline = true }).Status + Failure(index.Dispose);
            } } });
            Check("it may ask, but not close", answer.Status == Status.NotFound && inside.EndsWith("InvalidOperationException"));
            Check("Check and Full are for Refresh()", movies.Refresh(new Query { Full = true }) && movies.Refresh(new Query { Check = true })
                && Failure(() => movies.Match("/x", new Query { Full = true })) == "InvalidArgument: Check and Full are for Refresh()");
        }
    }

    // Options reach the library, and a new token comes from the function.
    static void OptionsReachLibrary(string folder, string path)
    {
        var options = new Options
        {
            CacheDir = folder, ServerUrl = Environment.GetEnvironmentVariable("PLEXINDEX_TEST_URL"), Token = "old", User = "me",
            RenewToken = () => { throw new FormatException("no login"); }, MaxAge = TimeSpan.FromDays(1), ConnectTimeout = TimeSpan.FromSeconds(5),
            ReadTimeout = TimeSpan.FromSeconds(9), Slow = TimeSpan.FromTicks(1), MatchesLimit = 1 << 20, SizeLimit = 1L << 33, LogLevel = LogLevel.Info,
            SharedRetry = TimeSpan.Zero, SharedDurable = true, ObfuscatePaths = true, NoMmap = true, AcceptInvalidCerts = true,
            Mappings = { new Mapping("^/mine(/.*)$", @"/nowhere\1", MappingKind.HostPattern), new Mapping("/theirs", "/mine", MappingKind.ServerPrefix) },
        };
        using (PlexIndex index = PlexIndex.Open(options))
        {
            Check("offline", Failure(() => index.Library("Movies").Match(path, new Query { Offline = true })).StartsWith("Offline: "));
            var refused = (PlexindexException)Thrown(() => index.Library("Movies").Match(path));
            Check("what a token function throws is the inner exception", refused.Status == Status.Unauthorized && refused.InnerException is FormatException);
            Check("and the size of the folder", Stats(index).size_limit == 1L << 33);
        }
        foreach (string wrong in new[] { "a\nb", "ä", new string('x', 65537) })
        {
            options.RenewToken = () => wrong;
            using (PlexIndex index = PlexIndex.Open(options))
                Check("a wrong token is the inner exception", Failure(() => { throw Thrown(() => index.Library("Movies").Match(path)).InnerException; }).StartsWith("InvalidArgument: RenewToken returned "));
        }
        options.RenewToken = () => Environment.GetEnvironmentVariable("PLEXINDEX_TEST_TOKEN");
        using (PlexIndex index = PlexIndex.Open(options))
        {
            GC.Collect();
            Check("a new token", index.Library("Movies").Match(path).Status == Status.Ok);
            Check("log lines", PlexIndex.DrainLog().Any(line => line.Level == LogLevel.Info && line.Message.Contains("Movies")) && PlexIndex.DrainLog().Count == 0);
        }
        options.LogLevel = LogLevel.Warn;
        PlexIndex.Open(options).Dispose();
        options.Mappings[0] = new Mapping("(", "x", MappingKind.HostPattern);
        Check("a bad pattern", Failure(() => PlexIndex.Open(options)).StartsWith("InvalidArgument: "));
    }

    // Methods by their names: answers, statuses, errors, and what ends one that waits.
    static void Methods(string folder, string[][] facts)
    {
        string[] movie = facts[0], show = facts.First(line => line[0] == "show");
        PlexIndex index = PlexIndex.Open(new Options {
            CacheDir = folder, ServerUrl = Environment.GetEnvironmentVariable("PLEXINDEX_TEST_URL"), Token = Environment.GetEnvironmentVariable("PLEXINDEX_TEST_TOKEN"),
        });
        Library movies = index.Library("Movies");
        Check("the name of a library", $"{movies}, {index.Library()}" == "library Movies, all libraries");
        Check("a method of one that was never fetched", Failure(() => index.Call("items.list", "{\"library\":\"Movies\"}")).StartsWith("NotFetched: "));
        Check("a refresh in another thread", index.Library().RefreshAsync().Result);
        Status status;
        Check("a folder", index.Call("match.folder", $"{{\"path\":\"{show[1]}\"}}", out status).Contains($"\"title\":\"{show[2]}\"") && status == Status.Ok);
        Check("nothing", index.Call("items.get", "{\"key\":\"999999\"}", out status) == "{}" && status == Status.NotFound);
        Check("no request", index.CallAsync("libraries.list").Result.Contains("\"title\":\"TV Shows\""));
        Check("an unknown method", Failure(() => index.Call("items.lst")).StartsWith("InvalidArgument: this version has no method 'items.lst'"));
        Check("an unknown field", Failure(() => index.Call("items.get", "{\"kye\":1}")).Contains("unknown field `kye`"));
        Check("a flag of another call", Failure(() => index.Call("libraries.list", null, new Query { Offline = true })).StartsWith("InvalidArgument: Offline"));
        var failure = (PlexindexException)Thrown(() => index.Call("edit", $"{{\"library\":\"Movies\",\"keys\":[\"{movie[1]}\",\"999999\"],\"changes\":[{{\"field\":\"title\",\"set\":\"A\"}}]}}"));
        Check("an error with an answer", failure.Status == Status.NotOnServer && failure.Answer.Contains("[\"no\",\"missing\"]"));
        string wait = "{\"offline\":true,\"cursor\":\"" + index.Call("changes.list").Split('"').SkipWhile(word => word != "cursor").ElementAt(2) + "\"}";
        index.Call("changes.wait", wait, out status, new Query { Deadline = TimeSpan.FromMilliseconds(1) });
        Check("a deadline of a method", status == Status.NotYet);
        using (var cancel = new CancellationTokenSource(100))
            Check("a cancelled method", Failure(() => index.Call("changes.wait", wait, null, cancel.Token)) == "OperationCanceledException");
        var mine = new Listener { Call = one => { throw new FormatException("mine"); } };
        Check("progress of a method", Failure(() => index.Call("changes.wait", wait, new Query { Progress = mine })) == "FormatException");
        movies.InvalidateItem(movie[1]);
        Check("an invalidated item", movies.LookupKey(movie[3]) == null && movies.MatchAsync(movie[3]).Result.Item.Key == movie[1] && movies.LookupKey(movie[3]) != null);
        movies.Invalidate();
        Check("an invalidated library", movies.Match(movie[3], new Query { Offline = true }).IsStale);
        var waits = new ManualResetEvent(false);
        Task<string> waiting = index.CallAsync("changes.wait", wait, new Query { Progress = new Listener { Call = one => waits.Set() }, Deadline = Timeout.InfiniteTimeSpan });
        waits.WaitOne();
        index.Dispose();
        Check("a wait ends with the index", Failure(() => waiting.GetAwaiter().GetResult()) == "ObjectDisposedException" && Failure(() => index.Call("store.get")) == "ObjectDisposedException");
    }

    // Calls for `await` take no thread of the pool, and end with their token, their deadline and the index.
    static void Async(string folder)
    {
        var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        PlexIndex index = PlexIndex.Open(new Options { CacheDir = folder, ServerUrl = "http://" + server.LocalEndpoint, Token = "x" });
        Library movies = index.Library("Movies");
        int pooled = 0;
        var started = new CountdownEvent(50);
        var seen = new ThreadLocal<bool>();
        var listener = new Listener { Call = one => {
            if (seen.Value) return;
            seen.Value = true;
            if (Thread.CurrentThread.IsThreadPoolThread) Interlocked.Increment(ref pooled);
            started.Signal();
        } };
        var cancel = new CancellationTokenSource();
        var query = new Query { Progress = listener, Deadline = TimeSpan.FromMinutes(10) };
        Task<Answer>[] waiting = Enumerable.Range(0, 50).Select(one => movies.MatchAsync("/x" + one, query, cancel.Token)).ToArray();
        query.Deadline = TimeSpan.Zero; // the calls go on with what they were given
        bool all = started.Wait(60000);
        Check("waiting calls take no thread of the pool", all && pooled == 0 && Task.Run(() => true).Wait(60000) && waiting.All(one => !one.IsCompleted));
        cancel.Cancel();
        try { Task.WaitAll(waiting, 60000); }
        catch (AggregateException) { }
        Check("a token cancels them", waiting.All(one => one.IsCanceled));
        Check("a deadline ends one", (int)movies.MatchAsync("/x", new Query { Deadline = TimeSpan.FromMilliseconds(50) }).Result.Status < 100);
        Check("null is refused by name", Failure(() => movies.MatchAsync((string)null).GetAwaiter().GetResult()) == "ArgumentNullException");
        Task<bool> last = movies.RefreshAsync();
        index.Dispose();
        Check("Dispose() ends one", Failure(() => last.GetAwaiter().GetResult()) == "ObjectDisposedException");
        server.Stop();
    }

    static Abi.Stats Stats(PlexIndex index)
    {
        Abi.Stats stats = Abi.Stats.Create();
        index.Run((IntPtr open, ref Abi.Buffer error) => Abi.plexindex_get_stats(open, ref stats, ref error));
        return stats;
    }

    // Calls that wait for the server end when they are told to.
    static void Waiting(Options options)
    {
        PlexIndex index = PlexIndex.Open(options);
        Library movies = index.Library("Movies");
        Check("a deadline", !movies.Refresh(new Query { Deadline = TimeSpan.FromMilliseconds(300) }));
        using (var cancel = new CancellationTokenSource(100))
            Check("a cancelled call", Failure(() => movies.Refresh(cancel: cancel.Token)) == "OperationCanceledException");
        index.Dispose();
    }

    // A call that waits for a silent server: it begins in another thread, and has reported when this returns.
    static PlexIndex Silent(string folder, Action<Action> begin)
    {
        var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        PlexIndex index = PlexIndex.Open(new Options { CacheDir = folder, ServerUrl = "http://" + server.LocalEndpoint, Token = "x" });
        var reported = new ManualResetEvent(false);
        begin(() => index.Library("Movies").Match("/x", new Query { Progress = new Listener { Call = one => reported.Set() } }));
        reported.WaitOne();
        return index;
    }

    // A program ends when Main returns, while a background thread is in a call.
    static int Leave(string folder)
    {
        Silent(folder, call => new Thread(() => call()) { IsBackground = true }.Start());
        Console.WriteLine("leaving");
        return 0;
    }

    // Of .NET only Mono has it.
    static void Aborted(string folder)
    {
        Thread thread = null;
        object said = null;
        bool further = false;
        PlexIndex index = Silent(folder, call =>
        {
            thread = new Thread(() =>
            {
                try
                {
                    try { call(); }
                    catch (Exception) { }
                    further = true;
                }
                catch (ThreadAbortException error) { said = error.ExceptionState; }
            }) { IsBackground = true };
            thread.Start();
        });
        thread.Abort("mine");
        bool ended = thread.Join(20000);
        Check("Abort() ends a call, and its thread", ended && (string)said == "mine" && !further);
        if (ended) index.Dispose();
    }

    // No int holds these: a capacity that had turned negative gave the library 8 bytes of memory.
    static void Sizes(string folder)
    {
        Check("millions of paths", Library.Capacity(60000000, 6000000) == 16384 + 240000000 + 2304000000L
            && Library.Grown(3L << 30) == 15L << 28);
        using (var memory = new Memory())
            Check("a buffer of more than 2 GiB", (ulong)memory.Buffer((2L << 30) + 8).capacity == (2UL << 30) + 8);
    }

    // Arguments that are refused by their names, deadlines that are none, and functions of Abi.
    static void Arguments(string folder)
    {
        string url = Environment.GetEnvironmentVariable("PLEXINDEX_TEST_URL"), token = Environment.GetEnvironmentVariable("PLEXINDEX_TEST_TOKEN");
        // Of those that have passed the call waits for nothing.
        foreach (TimeSpan deadline in new[] { TimeSpan.MaxValue, Timeout.InfiniteTimeSpan, TimeSpan.Zero, TimeSpan.FromTicks(-1), TimeSpan.MinValue })
        {
            bool waits = deadline > TimeSpan.Zero || deadline == Timeout.InfiniteTimeSpan;
            var options = new Options { CacheDir = Path.Combine(folder, "three"), ServerUrl = url, Token = token, Deadline = deadline, LibraryTtl = deadline };
            using (PlexIndex open = PlexIndex.Open(options))
                Check("a deadline of " + deadline, open.Library("Movies").Refresh(new Query { Full = true, Deadline = deadline }) == waits
                    && open.Library("Movies").Refresh(new Query { Full = true }) == waits && (int)open.Library("TV Shows").Match("/x").Status < 100
                    && open.Library("Movies").Refresh(new Query { Full = true, Deadline = Timeout.InfiniteTimeSpan }));
        }
        Func<Options, string> refused = options => Failure(() => PlexIndex.Open(options));
        Check("negative numbers", refused(new Options { CacheDir = "x", Retry = Timeout.InfiniteTimeSpan }).StartsWith("InvalidArgument: Retry is negative")
            && refused(new Options { CacheDir = "x", PageSize = -1 }).StartsWith("InvalidArgument: PageSize is negative"));
        PlexIndex index = PlexIndex.Open(new Options { CacheDir = Path.Combine(folder, "three"), ServerUrl = url, Deadline = TimeSpan.Zero });
        Library movies = index.Library("Movies");
        var nulls = new Dictionary<string, Action> {
            ["path"] = () => movies.Match((string)null), ["paths"] = () => movies.MatchAll(null), ["paths[1]"] = () => movies.MatchAll(new[] { "/x", null }),
            ["method"] = () => index.Call(null), ["key"] = () => movies.RecordMatch("/x", null),
            ["call"] = () => index.Run(null), ["call "] = () => index.Fill(null), ["options"] = () => PlexIndex.Open(null), ["CacheDir"] = () => PlexIndex.Open(new Options()),
        };
        foreach (KeyValuePair<string, Action> one in nulls)
            Check("null is refused by name: " + one.Key, ((ArgumentNullException)Thrown(one.Value)).ParamName == one.Key.Trim());
        foreach (Action call in new Action[] { () => movies.Match("a\0b"), () => movies.MatchAll(new[] { "a\0b" }), () => movies.Match("") })
            Check("a bad path", Failure(call).StartsWith("InvalidArgument: "));
        IntPtr table = IntPtr.Zero, entry = Marshal.StringToHGlobalAnsi("one");
        index.Run((IntPtr open, ref Abi.Buffer error) => Abi.plexindex_get_table(open, entry, (UIntPtr)3, 0, out table, ref error));
        index.Run((IntPtr open, ref Abi.Buffer error) => Abi.plexindex_table_put(table, entry, (UIntPtr)3, entry, (UIntPtr)3, 0, 0, ref error));
        PlexIndex.Filling get = (IntPtr open, ref Abi.Buffer value, ref Abi.Buffer error) => Abi.plexindex_table_get(table, entry, (UIntPtr)3, ref value, ref error);
        Check("a function of Abi that fills a buffer", System.Text.Encoding.UTF8.GetString(index.Fill(get)) == "one");
        index.Run((IntPtr open, ref Abi.Buffer error) => Abi.plexindex_invalidate_library(movies.Handle, ref error));
        using (PlexIndex other = PlexIndex.Open(new Options { CacheDir = Path.Combine(folder, "none") }))
            Check("a handle is of the call of its own index", Failure(() => movies.Handle.ToString()) == "InvalidOperationException" && Failure(() =>
                other.Run((IntPtr open, ref Abi.Buffer error) => Abi.plexindex_invalidate_library(movies.Handle, ref error))) == "InvalidOperationException");
        Check("and one that fills a struct", Stats(index).calls > 0);
        index.Dispose();
        Check("on a closed index", Failure(() => index.Fill(get)) == "ObjectDisposedException");
        Check("a handle of a closed index", Failure(() => movies.Handle.ToString()) == "ObjectDisposedException");
    }

    // What another process of this program prints.
    static string Printed(string arguments)
    {
        string program = typeof(Test).Assembly.Location;
        var start = new ProcessStartInfo(Process.GetCurrentProcess().MainModule.FileName, $"\"{program}\" {arguments}");
        start.UseShellExecute = false;
        start.RedirectStandardOutput = true;
        using (Process process = Process.Start(start))
        {
            bool ended = process.WaitForExit(30000);
            if (!ended) process.Kill();
            return process.StandardOutput.ReadToEnd().Trim() + (ended ? "" : " and did not end");
        }
    }

    public static int Main(string[] given)
    {
        string what = given.FirstOrDefault();
        if (what == "leave") return Leave(given[1]);
        string[] differences = Layout().Except(Recorded(ABI)).ToArray();
        foreach (string difference in differences) Console.WriteLine("  " + difference);
        Check("structs have the layout of docs/abi.txt", differences.Length == 0 && Layout().Count() > 100);
        string folder = Path.Combine(Path.GetTempPath(), "plexindex-cs-" + Guid.NewGuid());
        try
        {
            Questions(folder, File.ReadAllLines(Environment.GetEnvironmentVariable("PLEXINDEX_TEST_FACTS")).Select(line => line.Split('\t')).ToArray());
            Check("a program ends during a call", Printed($"leave \"{Path.Combine(folder, "left")}\"") == "leaving");
            Sizes(folder);
            Arguments(folder);
            Aborted(Path.Combine(folder, "aborted"));
        }
        finally { Directory.Delete(folder, true); }
        return failed;
    }
}
