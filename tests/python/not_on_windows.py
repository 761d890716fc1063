"""The tests that cannot run on Windows, or under wine, and why. conftest.py leaves them out there.

A name is a module, or `module::test`, with the values of a test's parameters or without them.
"""

from __future__ import annotations

LEFT_OUT: dict[str, tuple[str, ...]] = {
    "it looks at files of the repository with the tools of its builders": ("test_abi", "test_wheel"),
    "the completions are for shells that Windows lacks": (
        "test_cli::test_a_completion_is_installed_where_the_shell_looks",
        "test_cli::test_bash_completes",
    ),
    "the default folder is another": (
        "test_cli_config::test_the_folder",
        "test_cli_config::test_the_folders_of_each_system",
        "test_cli_config::test_a_process_in_the_former_folder_loses_nothing",
    ),
    "it starts PostgreSQL": ("test_shared",),
    "it forks": (
        "test_lifetime::test_a_closing_child_waits_for_no_thread_of_its_parent",
        "test_lifetime::test_an_index_works_on_both_sides_of_a_fork",
        "test_names::test_a_fork_while_the_callable_runs",
    ),
    "Stash2Plex imports fcntl and does not start there": ("test_stash2plex",),
    "it compiles a library of Unix": ("test_import::test_another_library_is_refused",),
    "it makes links, which wine does not, or names that are no text": (
        "test_diff::test_a_summary_adds_up",
        "test_walk::test_a_plexignore_with_names_that_are_not_utf_8",
        "test_walk::test_a_real_folder_is_read_once_and_before_any_link",
        "test_walk::test_a_circular_link_is_no_media_folder",
        "test_walk::test_any_tree_with_links_is_read_once",
        "test_walk::test_any_libraries_are_walked_once",
    ),
    "it takes rights or free space away as Unix does": (
        "test_diff::test_an_unreadable_folder_is_not_gone",
        "test_database::test_an_unreadable_database_is_a_usage_error",
    ),
    "a path without a drive lies on no disk of Windows, so no rule of a disk is looked up": (
        "test_cli::test_match_explains_a_file_without_an_item",
    ),
    "file names there are no bytes": (
        "test_bad_input::test_a_path_that_is_not_utf8_matches_itself",
        "test_cli::test_match_prints_json",
        "test_cli::test_formats",
        "test_cli::test_names_that_are_not_utf8",
        "test_cli::test_lists_in_another_locale",
    ),
    "half a character is in names there": (
        r"test_bad_input::test_paths_that_are_refused[/m/\ud800]",
        "test_bad_input::test_a_text_with_a_lone_surrogate_is_refused",
    ),
    "it types at a terminal of Unix": (
        "test_cli::test_clear_asks_first",
        "test_cli::test_refresh_at_a_terminal",
        "test_doctor::test_libraries_are_fetched_after_confirmation",
        "test_cli::test_colors_are_for_terminals",
        "test_changes::test_the_command_keeps_its_own_cursor",
        "test_cli::test_lines_are_wrapped_between_words_and_commands",
    ),
    "it sends a signal to another process, which Windows has not; test_windows.py has Ctrl-C": (
        "test_changes::test_the_command_reports_a_rename",
        "test_cli::test_ctrl_c_reaches_a_call_that_waits_for_a_silent_server",
    ),
    "it runs a line of a Unix shell, or one of its programs": (
        "test_cli::test_a_stream_that_is_closed_or_full",
        "test_cli::test_a_reader_that_has_enough",
        "test_cli::test_a_mapping_of_a_folder_below_the_current_one",
    ),
}


def reason(module: str, test: str) -> str | None:
    """Why a test is left out on Windows; None where it runs."""
    for why, names in LEFT_OUT.items():
        if module in names or {f"{module}::{test}", f"{module}::{test.partition('[')[0]}"} & set(names):
            return why
    return None
