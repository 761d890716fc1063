// A library's questions and answers.
using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;

namespace Plexindex
{
/// <summary>
/// A library of an index, or all of them. A CancellationToken ends a question that waits for the server; the next call
/// goes on where that one stopped. Paths are texts, or the file system's bytes where these are no UTF-8.
/// </summary>
public sealed class Library
{
    private readonly PlexIndex index;
    private readonly IntPtr handle;
    private readonly string name;

    internal Library(PlexIndex index, IntPtr handle, string name)
    {
        this.index = index;
        this.handle = handle;
        this.name = name;
    }

    /// <summary>The name that it was asked for by.</summary>
    public override string ToString() => name == null ? "all libraries" : "library " + name;

    /// <summary>What functions of Abi take as the library. Only a call of PlexIndex.Run() or Fill() of its own index gets it.</summary>
    /// <exception cref="InvalidOperationException">No such call is under way on this thread.</exception>
    public IntPtr Handle
    {
        get
        {
            if (CurrentCall.IsOf(index)) return handle;
            if (index.IsClosing) throw new ObjectDisposedException(nameof(PlexIndex));
            throw new InvalidOperationException("Handle is for calls of Run() and Fill() of its own index: read it in there");
        }
    }

    /// <summary>The key of the item with this path, where the index has it at hand; else null. Never asks the server.</summary>
    [return: MaybeNull]
    public string LookupKey(string path) => LookupKey(Memory.Bytes(path));

    [return: MaybeNull]
    public string LookupKey(byte[] path)
    {
        if (path == null) throw new ArgumentNullException(nameof(path));
        if (Array.IndexOf(path, (byte)0) >= 0) return null;
        using (var memory = new Memory())
        {
            Abi.Bytes text = memory.Text(path);
            return index.During(() => Memory.String(Abi.plexindex_lookup_key(handle, text.data)));
        }
    }

    /// <summary>The full answer for one path. Fetches the library where it must.</summary>
    public Answer Match(string path, [AllowNull] Query query = null, CancellationToken cancel = default(CancellationToken)) =>
        Match(Memory.Bytes(path), query, cancel);

    public Answer Match(byte[] path, [AllowNull] Query query = null, CancellationToken cancel = default(CancellationToken)) =>
        Ask(Abi.plexindex_match_path, path, nameof(path), 1, query, cancel)[0];

    /// <summary>An answer for each path, in order.</summary>
    public IReadOnlyList<Answer> MatchAll(
        IReadOnlyCollection<string> paths, [AllowNull] Query query = null, CancellationToken cancel = default(CancellationToken))
    {
        if (paths == null) throw new ArgumentNullException(nameof(paths));
        string[] all = paths.ToArray(); // the caller's may grow meanwhile
        for (int at = 0; at < all.Length; at++)
        {
            if (all[at] == null) throw new ArgumentNullException($"paths[{at}]");
            if (all[at].IndexOf('\0') >= 0) throw PlexIndex.Invalid($"paths[{at}] has a NUL in it");
        }
        if (all.Length == 0) return new Answer[0];
        Question question = (IntPtr open, ref Abi.Query asked, ref Abi.Buffer block, ref Abi.Buffer error) =>
            Abi.plexindex_match_paths(open, ref asked, (UIntPtr)all.Length, ref block, ref error);
        return Ask(question, Memory.Bytes(string.Join("\0", all) + "\0"), nameof(paths), all.Length, query, cancel);
    }

    /// <summary>
    /// Brings the library up to date. False when the deadline came first; while no library is known that is an exception
    /// with Status.Timeout.
    /// </summary>
    public bool Refresh([AllowNull] Query query = null, CancellationToken cancel = default(CancellationToken))
    {
        using (var memory = new Memory())
        {
            Abi.Query asked = Asked(memory, handle, null, query);
            return index.Run((IntPtr open, ref Abi.Buffer error) => Abi.plexindex_refresh(open, ref asked, ref error), query?.Progress, cancel) == Abi.OK;
        }
    }

    /// <summary>Match() on a thread of its own, which begins and ends with it: a call that is answered at once is cheaper without.</summary>
    public Task<Answer> MatchAsync(string path, [AllowNull] Query query = null, CancellationToken cancel = default(CancellationToken)) =>
        PlexIndex.Async(query, cancel, own => Match(path, own, cancel));

    public Task<Answer> MatchAsync(byte[] path, [AllowNull] Query query = null, CancellationToken cancel = default(CancellationToken)) =>
        PlexIndex.Async(query, cancel, own => Match(path, own, cancel));

    /// <summary>MatchAll() on a thread of its own.</summary>
    public Task<IReadOnlyList<Answer>> MatchAllAsync(
        IReadOnlyCollection<string> paths, [AllowNull] Query query = null, CancellationToken cancel = default(CancellationToken)) =>
        PlexIndex.Async(query, cancel, own => MatchAll(paths, own, cancel));

    /// <summary>Refresh() on a thread of its own.</summary>
    public Task<bool> RefreshAsync([AllowNull] Query query = null, CancellationToken cancel = default(CancellationToken)) =>
        PlexIndex.Async(query, cancel, own => Refresh(own, cancel));

    /// <summary>Records that the item with this key has this path.</summary>
    public void RecordMatch(string path, string key) => RecordMatch(Memory.Bytes(path), key);

    public void RecordMatch(byte[] path, string key)
    {
        if (key == null) throw new ArgumentNullException(nameof(key));
        Tell(path, nameof(path), (Abi.Bytes file, Memory memory, ref Abi.Buffer error) =>
        {
            Abi.Bytes item = memory.Text(key);
            return Abi.plexindex_record_match(handle, file.data, file.length, item.data, item.length, 0, ref error);
        });
    }

    /// <summary>Invalidates a path: the server is asked before it is answered again.</summary>
    public void InvalidatePath(string path) => InvalidatePath(Memory.Bytes(path));

    public void InvalidatePath(byte[] path) => Tell(path, nameof(path), (Abi.Bytes file, Memory memory, ref Abi.Buffer error) =>
        Abi.plexindex_invalidate_path(handle, file.data, file.length, ref error));

    /// <summary>Invalidates an item by its key or rating key, with all its paths.</summary>
    public void InvalidateItem(string key) => Tell(Memory.Bytes(key), nameof(key), (Abi.Bytes item, Memory memory, ref Abi.Buffer error) =>
        Abi.plexindex_invalidate_item(handle, item.data, item.length, ref error));

    /// <summary>Invalidates the library: the next question fetches a full listing.</summary>
    public void Invalidate() => index.Run((IntPtr open, ref Abi.Buffer error) => Abi.plexindex_invalidate_library(handle, ref error));

    private delegate int Telling(Abi.Bytes text, Memory memory, ref Abi.Buffer error);

    private void Tell(byte[] text, string name, Telling call)
    {
        if (text == null) throw new ArgumentNullException(name);
        using (var memory = new Memory())
        {
            Abi.Bytes given = memory.Text(text);
            index.Run((IntPtr open, ref Abi.Buffer error) => call(given, memory, ref error));
        }
    }

    private delegate int Question(IntPtr index, ref Abi.Query query, ref Abi.Buffer block, ref Abi.Buffer error);

    // In 64 bits: some million paths need more than 2 GiB. The library fills 4 GiB at most.
    internal static long Capacity(long length, long count) => 16384 + 4 * length + 384 * count;

    internal static long Grown(long needed) => needed + needed / 4;

    private Answer[] Ask(Question question, byte[] text, string name, int count, Query query, CancellationToken cancel)
    {
        if (text == null) throw new ArgumentNullException(name);
        if (query != null && (query.Check || query.Full)) throw PlexIndex.Invalid("Check and Full are for Refresh()");
        using (var memory = new Memory())
        {
            Abi.Query asked = Asked(memory, handle, text, query);
            return index.Fill((IntPtr open, ref Abi.Buffer block, ref Abi.Buffer error) => question(open, ref asked, ref block, ref error),
                Capacity(text.Length, count), query?.Progress, cancel, (block, status) => Answers(block));
        }
    }

    private static Abi.Query Asked(Memory memory, IntPtr library, byte[] text, Query query)
    {
        Abi.Query asked = Abi.Query.Create();
        asked.library = library;
        asked.text = memory.Text(text);
        asked.deadline_ms = PlexIndex.DeadlineMs(query?.Deadline);
        asked.flags = query?.Flags ?? 0;
        return asked;
    }

    private static Answer[] Answers(Abi.Buffer block)
    {
        var answers = new Answer[(long)Abi.plexindex_count_answers(ref block)];
        for (int place = 0; place < answers.Length; place++)
        {
            IntPtr at = Abi.plexindex_get_answer(ref block, (UIntPtr)(uint)place), one;
            var answer = Marshal.PtrToStructure<Abi.Answer>(at);
            var candidates = new List<Item>();
            for (uint number = 0; (one = Abi.plexindex_get_candidate(ref block, at, (UIntPtr)number)) != IntPtr.Zero; number++)
                candidates.Add(ReadItem(block, one));
            one = Abi.plexindex_get_item(ref block, at);
            answers[place] = new Answer
            {
                Status = (Status)answer.status, MatchKind = (MatchKind)answer.match_kind, Confidence = (Confidence)answer.confidence,
                Reason = (Reason)answer.reason, IsStale = (answer.flags & Abi.ANSWER_STALE) != 0,
                Item = one == IntPtr.Zero ? null : ReadItem(block, one), Candidates = candidates,
                CandidatesTotal = (int)answer.candidates_total, Message = Text(block, answer.message),
                Age = answer.age_ms < 0 ? (TimeSpan?)null : TimeSpan.FromMilliseconds(answer.age_ms),
            };
        }
        return answers;
    }

    private static string Text(Abi.Buffer block, Abi.Text text) =>
        text.offset == 0 ? null : Memory.String(new IntPtr((long)block.data + text.offset), (int)text.length);

    private static int? Number(int value, int none) => value == none ? (int?)null : value;

    private static Item ReadItem(Abi.Buffer block, IntPtr at)
    {
        var item = Marshal.PtrToStructure<Abi.Item>(at);
        return new Item
        {
            Key = Text(block, item.key), RatingKey = Text(block, item.rating_key), Title = Text(block, item.title),
            Guid = Text(block, item.guid), ShowTitle = Text(block, item.show_title), ShowRatingKey = Text(block, item.show_rating_key),
            ShowGuid = Text(block, item.show_guid), Path = Text(block, item.path), Section = Text(block, item.section),
            LibraryTitle = Text(block, item.library_title), Kind = (Kind)item.kind, Year = Number(item.year, 0),
            Season = Number(item.season, -1), Episode = Number(item.episode, -1),
            KeyOnly = (item.flags & Abi.ITEM_KEY_ONLY) != 0,
        };
    }
}
}
