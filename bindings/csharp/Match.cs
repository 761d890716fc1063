// Which item is this file? `mono Match.exe URL TOKEN FOLDER LIBRARY FILE`; LD_LIBRARY_PATH says where the library is.
using System;
using System.Runtime.InteropServices;
using System.Text;

public static class Match
{
    const int Room = 1 << 16;

    static Plexindex.Bytes Text(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text + "\0");
        IntPtr memory = Marshal.AllocHGlobal(bytes.Length); // the process ends soon: never freed
        Marshal.Copy(bytes, 0, memory, bytes.Length);
        return new Plexindex.Bytes { data = memory, length = (UIntPtr)(bytes.Length - 1) };
    }

    static Plexindex.Buffer Memory() => new Plexindex.Buffer { data = Marshal.AllocHGlobal(Room), capacity = (UIntPtr)Room };

    static string Utf8(IntPtr text)
    {
        int length = 0;
        while (text != IntPtr.Zero && Marshal.ReadByte(text, length) != 0) length++;
        byte[] bytes = new byte[length];
        if (length > 0) Marshal.Copy(text, bytes, 0, length);
        return Encoding.UTF8.GetString(bytes);
    }

    public static int Main(string[] given)
    {
        Plexindex.Buffer error = Memory(), block = Memory();
        var options = new Plexindex.Options { server_url = Text(given[0]), token = Text(given[1]), cache_dir = Text(given[2]) };
        options.size = (UIntPtr)Marshal.SizeOf(options);
        IntPtr index, library = IntPtr.Zero;
        int status = Plexindex.plexindex_open(ref options, out index, ref error); // the folder is made, nothing is fetched
        Plexindex.Bytes title = Text(given[3]);
        if (status == Plexindex.OK)
            status = Plexindex.plexindex_get_library(index, Plexindex.SELECT_TITLE, title.data, title.length, out library, ref error);
        var query = new Plexindex.Query { library = library, text = Text(given[4]) };
        query.size = (UIntPtr)Marshal.SizeOf(query);
        if (status == Plexindex.OK) // fetches the library where it must
            status = Plexindex.plexindex_match_path(index, ref query, ref block, ref error);
        IntPtr answer = Plexindex.plexindex_get_answer(ref block, UIntPtr.Zero), at; // none after an error
        for (uint place = 0; (at = Plexindex.plexindex_get_candidate(ref block, answer, (UIntPtr)place)) != IntPtr.Zero; place++)
            Console.WriteLine(Utf8(Plexindex.plexindex_get_text(ref block, at))); // the key: an item begins with it
        if (status != Plexindex.OK) Console.WriteLine(Utf8(Plexindex.plexindex_get_status_name(status)));
        if (status >= 100) Console.Error.WriteLine(Utf8(error.data));
        Plexindex.Buffer none = Memory();
        return Plexindex.plexindex_close(index, ref none) == Plexindex.OK && status < 100 ? 0 : 1;
    }
}
