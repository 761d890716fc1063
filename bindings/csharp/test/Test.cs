// Whether the declarations have the layout of docs/abi.txt, and whether the program does what it says.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;

public static class Test
{
    static int failed;

    static void Check(string what, bool holds)
    {
        Console.WriteLine((holds ? "PASS: " : "FAIL: ") + what);
        if (!holds) failed++;
    }

    static IEnumerable<string> Layout()
    {
        foreach (Type type in typeof(Plexindex).GetNestedTypes().Where(type => type.IsValueType))
            foreach (FieldInfo field in type.GetFields())
                yield return $"{Marshal.SizeOf(type)} {type.Name}.{field.Name} {Marshal.OffsetOf(type, field.Name)}";
    }

    static IEnumerable<string> Recorded()
    {
        int size = 0;
        foreach (string line in File.ReadLines("../../docs/abi.txt"))
        {
            string[] words = line.Split(new[] { ' ' }, StringSplitOptions.RemoveEmptyEntries);
            if (line.StartsWith("struct ")) size = int.Parse(words[2]);
            if (!line.StartsWith("    ")) continue;
            string[] names = words[2].Split('.');
            string type = string.Concat(names[0].Split('_').Skip(1).Select(part => char.ToUpper(part[0]) + part.Substring(1)));
            yield return $"{size} {type}.{names[1]} {words[0]}";
        }
    }

    static Tuple<int, string, string> Run(string program, string library, string file)
    {
        string folder = Path.Combine(Path.GetTempPath(), "plexindex-cs-" + Guid.NewGuid());
        string url = Environment.GetEnvironmentVariable("PLEXINDEX_TEST_URL"), token = Environment.GetEnvironmentVariable("PLEXINDEX_TEST_TOKEN");
        var start = new ProcessStartInfo("mono", $"\"{program}\" {url} {token} {folder} \"{library}\" \"{file}\"");
        start.UseShellExecute = false;
        start.RedirectStandardOutput = start.RedirectStandardError = true;
        using (Process process = Process.Start(start))
        {
            string printed = process.StandardOutput.ReadToEnd(), said = process.StandardError.ReadToEnd();
            process.WaitForExit();
            Directory.Delete(folder, true);
            return Tuple.Create(process.ExitCode, printed, said);
        }
    }

    public static int Main(string[] given)
    {
        string[] differences = Recorded().Except(Layout()).Concat(Layout().Except(Recorded())).ToArray();
        foreach (string difference in differences) Console.WriteLine("  " + difference);
        Check("structs have the layout of docs/abi.txt", differences.Length == 0 && Layout().Count() > 100);
        string[] facts = File.ReadAllLines(Environment.GetEnvironmentVariable("PLEXINDEX_TEST_LINES"));
        string[] movie = facts.First(line => line.StartsWith("movie")).Split('\t');
        Tuple<int, string, string> found = Run(given[0], "Movies", movie[3]);
        Check("a file is found", found.Item1 == 0 && found.Item2 == movie[1] + "\n");
        string repeated = facts.First(line => line.StartsWith("repeated")).Split('\t')[1];
        found = Run(given[0], "Movies", "/somewhere/else/" + repeated);
        Check("candidates", found.Item1 == 0 && found.Item2.EndsWith("AMBIGUOUS\n") && found.Item2.Split('\n').Length > 3);
        found = Run(given[0], "None 7", movie[3]);
        Check("an error", found.Item1 == 1 && found.Item2 == "LIBRARY_NOT_FOUND\n" && found.Item3.Contains("'None 7'"));
        return failed;
    }
}
