"""The tests that cannot run on Windows, or under wine, and why. conftest.py leaves them out there.

A name is a module, or `module::test`, with the values of a test's parameters or without them.
"""

from __future__ import annotations

LEFT_OUT: dict[str, tuple[str, ...]] = {
    "it looks at files of the repository with the tools of its builders": (
        "test_abi",
        "test_header",
        "test_man",
        "test_wheel",
    ),
    "pip is not installed there": ("test_macos::test_pip_takes_the_wheel_on_macs_that_are_new_enough",),
    "the completions are for shells that Windows lacks": ("test_completion",),
    "the default folder is another; test_windows.py has it": ("test_cli_config::test_the_folder",),
    "it starts PostgreSQL": ("test_shared",),
    "it forks": (
        "test_database::test_a_fork_is_safe_while_it_is_read",
        "test_processes",
        "test_renewal::test_a_fork_while_the_callable_runs",
    ),
    "it kills itself by a signal": ("test_exit::test_a_process_may_leave_at_any_time_with_a_watch_running[a signal]",),
    "Stash2Plex imports fcntl and does not start there": ("test_stash2plex",),
    "it compiles a library of Unix": (
        "test_import::test_another_abi_version_is_refused_naming_both",
        "test_import::test_another_library_is_refused",
    ),
    "it makes links, which wine does not, or names that are no text": (
        "test_cli_robustness::test_where_a_path_leads_up_to_is_found_out",
        "test_diff::test_libraries_within_each_other_and_with_one_folder",
        "test_diff::test_a_summary_adds_up",
        "test_diff::test_what_plex_leaves_out",
        "test_diff::test_a_plexignore_with_odd_patterns",
        "test_diff::test_a_plexignore_that_is_no_text_or_no_file",
        "test_diff::test_links_loops_and_names_that_are_no_text",
        "test_diff::test_folders_that_link_to_each_other_are_read_once",
        "test_diff::test_links_that_lead_nowhere_or_above",
    ),
    "it takes rights or free space away as Unix does": (
        "test_diff::test_a_root_that_cannot_be_read_is_not_gone",
        "test_diff::test_a_folder_that_cannot_be_read_is_told_by_the_command",
        "test_diff::test_a_folder_that_one_may_only_pass_through",
        "test_diff::test_what_cannot_be_read_is_not_gone",
        "test_database::test_a_database_that_may_not_be_read_is_no_refused_token",
        "test_bad_input::test_a_cache_that_is_read_only",
        "test_bad_input::test_a_cache_where_no_folder_can_be_made",
        "test_compat_failures::test_a_folder_that_may_not_be_written_is_told_with_a_remedy_of_the_host_s",
    ),
    "a path without a drive lies on no disk of Windows, so no rule of a disk is looked up": (
        "test_cli::test_a_file_that_plex_never_lists_is_named_with_the_rule",
    ),
    "file names there are no bytes": (
        "test_bad_input::test_a_path_that_is_not_utf8_matches_itself",
        "test_cli::test_match_says_json",
        "test_cli_forms::test_formats",
        "test_cli_robustness::test_a_name_is_one_line_in_which_its_odd_bytes_are_seen",
        "test_cli_robustness::test_lists_of_other_systems",
    ),
    "the accelerator opens no index there, and loads ctypes": (
        "test_compat_index::test_the_import_loads_no_more_than_it_must",
    ),
    "half a character is in names there": (r"test_bad_input::test_paths_that_are_refused[/m/\ud800]",),
    "it types at a terminal of Unix": (
        "test_answer_texts::test_a_silent_server_is_said_at_a_terminal",
        "test_cli::test_clear_asks",
        "test_cli::test_warm_shows_a_bar_to_a_person",
        "test_cli::test_the_rate_of_a_quick_fetch_is_that_of_the_whole_or_none",
        "test_cli::test_ctrl_c_ends_a_warm_and_the_next_goes_on",
        "test_doctor::test_libraries_are_fetched_unless_that_is_refused",
        "test_cli_forms::test_colours_are_for_terminals",
        "test_cli_forms::test_no_word_is_cut",
        "test_cli_robustness::test_what_ends_a_fetch_leaves_no_bar",
    ),
    "it sends a signal to another process, which Windows has not; test_windows.py has Ctrl-C": (
        "test_follow::test_a_rename_that_moved_no_clock_is_told",
        "test_follow::test_the_server_is_asked_only_for_new_differences",
        "test_database::test_the_command_follows_it_without_events",
        "test_feed::test_who_follows_as_a_person_hears_the_token",
        "test_feed::test_the_command_follows_until_ctrl_c",
        "test_progress::test_another_signal_s_exception_ends_a_fetch",
        "test_cli::test_ctrl_c_reaches_a_call_that_waits_for_a_silent_server",
        "test_cli::test_stats_can_be_watched",
    ),
    "it runs a line of a Unix shell, or one of its programs": (
        "test_cli::test_the_wheel_installs_the_command",
        "test_cli_robustness::test_streams_that_are_closed",
        "test_cli_robustness::test_output_that_cannot_be_written",
        "test_cli_robustness::test_input_that_cannot_be_read",
        "test_cli_robustness::test_a_reader_that_has_enough",
        "test_cli_robustness::test_a_mapping_of_a_folder_below_the_current_one",
        "test_cli_robustness::test_a_current_folder_that_is_gone",
        "test_cli_robustness::test_names_that_are_no_utf8_can_be_turned_back",
        "test_cli_forms::test_the_stand_in_takes_a_port",
    ),
}


def reason(module: str, test: str) -> str | None:
    """Why a test is left out on Windows; None where it runs."""
    for why, names in LEFT_OUT.items():
        if module in names or {f"{module}::{test}", f"{module}::{test.partition('[')[0]}"} & set(names):
            return why
    return None
