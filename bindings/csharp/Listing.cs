// A library's items as the store has them, and the feed of changes.
using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Threading;

namespace Plexindex
{
/// <summary>A change of one file of one item. What is absent is null.</summary>
/// <remarks>
/// A map of paths to keys takes a change in two steps. First it removes `Path` and `From`, for `FromKey` or else `RatingKey`.
/// Then, unless the kind is `removed`, it adds `Path` with `RatingKey`. After `list_again`, and after the status ListAgain,
/// it is emptied. Then it is stored with the cursor.
/// </remarks>
public sealed class Change
{
    /// <summary>added, removed, changed, moved, or list_again: the library has to be listed again, with null and `full`.</summary>
    public string Kind { get; internal set; }
    public string Library { get; internal set; }
    public string Section { get; internal set; }
    /// <summary>Null for list_again, and for an item without files.</summary>
    [MaybeNull] public string Path { get; internal set; }
    /// <summary>Where a moved file was, or a file that a changed item lost.</summary>
    [MaybeNull] public string From { get; internal set; }
    [MaybeNull] public string RatingKey { get; internal set; }
    /// <summary>The rating key that the item had before, if it got another one.</summary>
    [MaybeNull] public string FromKey { get; internal set; }
    /// <summary>The item as Library.ItemJson() gives it.</summary>
    [MaybeNull] public string ItemJson { get; internal set; }
}

/// <summary>A page of the feed.</summary>
public sealed class ChangePage
{
    private const int Head = 2, Fields = 8;

    public IReadOnlyList<Change> Changes { get; }
    /// <summary>For the next call, which has something now if there is More.</summary>
    public string Cursor { get; }
    public bool More { get; }

    internal ChangePage(string page)
    {
        string[] texts = page.Split('\0');
        for (int at = 0; at < texts.Length; at++)
            if (texts[at].Length == 0) texts[at] = null;
        var changes = new List<Change>();
        for (int at = Head; at + Fields < texts.Length; at += Fields)
            changes.Add(new Change
            {
                Kind = texts[at], Library = texts[at + 1], Section = texts[at + 2], Path = texts[at + 3], From = texts[at + 4],
                RatingKey = texts[at + 5], FromKey = texts[at + 6], ItemJson = texts[at + 7],
            });
        Changes = changes;
        Cursor = texts[0];
        More = texts[1] != null;
    }
}

public sealed partial class Library
{
    private const int PageItems = 1000, PageBytes = 400 * PageItems;

    /// <summary>
    /// The items of one library as the store has them, page by page; that of all libraries is refused. Sends no
    /// request: Refresh() does. The status NotFetched says that it was never called.
    /// </summary>
    public IEnumerable<Item> Items()
    {
        long cursor = 0;
        PlexIndex.Filling next = (IntPtr open, ref Abi.Buffer page, ref Abi.Buffer error) =>
            Abi.plexindex_list_items(handle, ref cursor, (UIntPtr)PageItems, ref page, ref error);
        foreach (Item item in Pages((memory, last) => next)) yield return item;
    }

    /// <summary>The items with files below a folder, once for each file, in the order of their paths. Sends no request.</summary>
    public IEnumerable<Item> ItemsBelow(string path) => ItemsBelow(Memory.Bytes(path));

    public IEnumerable<Item> ItemsBelow(byte[] path)
    {
        if (path == null) throw new ArgumentNullException(nameof(path));
        var own = (byte[])path.Clone();
        return Pages((memory, last) =>
        {
            Abi.Bytes folder = memory.Text(own);
            return (IntPtr open, ref Abi.Buffer page, ref Abi.Buffer error) => Abi.plexindex_list_items_below(
                handle, folder.data, folder.length, last.data, last.length, (UIntPtr)PageItems, ref page, ref error);
        });
    }

    /// <summary>Each call gets the path of the last item before it.</summary>
    private IEnumerable<Item> Pages(Func<Memory, Abi.Bytes, PlexIndex.Filling> next)
    {
        for (byte[] last = null; ; )
        {
            IReadOnlyList<Item> items;
            using (var memory = new Memory())
                items = index.Fill(next(memory, memory.Text(last)), PageBytes, null, CancellationToken.None, (page, status) => ReadPage(page, status, out last));
            if (items.Count == 0) yield break;
            foreach (Item item in items)
            {
                if (index.IsClosing) throw new ObjectDisposedException(nameof(PlexIndex));
                yield return item;
            }
        }
    }

    private static IReadOnlyList<Item> ReadPage(Abi.Buffer page, int status, out byte[] last)
    {
        last = null;
        if (status != Abi.OK) return new Item[0];
        IReadOnlyList<Item> items = Answers(page)[0].Candidates;
        IntPtr item = Abi.plexindex_get_candidate(ref page, Abi.plexindex_get_answer(ref page, UIntPtr.Zero), (UIntPtr)(uint)(items.Count - 1));
        if (item == IntPtr.Zero) return items;
        Abi.Text path = Marshal.PtrToStructure<Abi.Item>(item).path;
        if (path.offset != 0) last = Memory.Bytes(new IntPtr((long)page.data + path.offset), (int)path.length);
        return items;
    }

    /// <summary>One item with all its files and ids, as JSON; null when no listing holds it. plexindex_more.h names the fields.</summary>
    [return: MaybeNull]
    public string ItemJson(string key)
    {
        if (key == null) throw new ArgumentNullException(nameof(key));
        using (var memory = new Memory())
        {
            Abi.Bytes item = memory.Text(key);
            return index.Fill((IntPtr open, ref Abi.Buffer json, ref Abi.Buffer error) => Abi.plexindex_get_item_json(handle, item.data, item.length, ref json, ref error),
                16384, null, CancellationToken.None, (json, status) => status == Abi.OK ? Memory.String(json.data, (int)json.length) : null);
        }
    }

    /// <summary>
    /// What was added, removed, changed and moved since a cursor, in the order in which the index learned it; for null none,
    /// and the cursor of now; if `full`, for null all items as additions first. `limit`: items of a page, 1 to 10,000; an
    /// item has a change for each file. Sends no request: Refresh() does, and has to be called once before. Status.ListAgain
    /// says to begin anew with null and `full`.
    /// </summary>
    public ChangePage Changes([AllowNull] string cursor = null, bool full = false, int limit = 1000)
    {
        using (var memory = new Memory())
        {
            Abi.Query asked = Asked(memory, handle, Memory.Bytes(cursor), full ? new Query { Full = true } : null);
            return index.Fill((IntPtr open, ref Abi.Buffer page, ref Abi.Buffer error) =>
                Abi.plexindex_list_changes(open, ref asked, (UIntPtr)(uint)Math.Max(limit, 0), ref page, ref error),
                16384, null, CancellationToken.None, (page, status) => new ChangePage(Memory.String(page.data, (int)page.length)));
        }
    }

    /// <summary>
    /// Waits until Changes() has something since the cursor, or until Refresh() has to ask the server before that is known.
    /// False when the deadline came first. With Query.Offline it waits for changes only.
    /// </summary>
    public bool WaitForChanges(string cursor, [AllowNull] Query query = null, CancellationToken cancel = default(CancellationToken))
    {
        if (cursor == null) throw new ArgumentNullException(nameof(cursor));
        using (var memory = new Memory())
        {
            Abi.Query asked = Asked(memory, handle, Memory.Bytes(cursor), query);
            return index.Run((IntPtr open, ref Abi.Buffer error) => Abi.plexindex_wait_for_changes(open, ref asked, ref error), query?.Progress, cancel) == Abi.OK;
        }
    }
}
}
