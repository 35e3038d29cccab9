"""Tests that trace, train or start processes for seconds each: `pytest --fast` leaves them out.

An entry is a file, or one test of it with all its parameters. Tests that need golden data are left
out without one.
"""

TESTS = """
tests/datasets/format/test_builtin.py::test_digits
tests/datasets/test_decoding.py::test_damage_is_a_bad_image_or_an_image
tests/datasets/test_inspection.py
tests/dnnlib/pickles/test_memory.py
tests/dnnlib/pickles/test_tf_networks_hostile.py::test_floods_take_little_memory
tests/dnnlib/pickles/test_tf_networks_hostile.py::test_the_corpus_takes_little_memory
tests/dnnlib/pickles/test_tf_networks_hostile.py::test_the_search_finds
tests/dnnlib/pickles/test_torch_file_hostile.py::test_floods_take_little_memory
tests/dnnlib/pickles/test_torch_networks_hostile.py::test_floods_take_little_memory_and_time
tests/dnnlib/pickles/test_torch_networks_hostile.py::test_the_corpus_takes_little_memory
tests/dnnlib/pickles/test_torch_networks_hostile.py::test_the_search_finds_nothing
tests/dnnlib/pickles/test_torch_networks_hostile.py::test_the_search_finds_what_a_worse_reader_does
tests/dnnlib/test_quiet.py::test_importing_tensorflow
tests/dnnlib/test_spawning.py
tests/editing/test_directions_command.py
tests/editing/test_project.py::test_a_projection_by_lpips_comes_closer
tests/explorer/test_explore.py
tests/explorer/test_page.py
tests/explorer/test_page_use.py
tests/explorer/test_scene.py
tests/explorer/test_single_page.py
tests/generation/test_ada.py
tests/generation/test_convert.py
tests/generation/test_figures.py
tests/generation/test_onnx.py
tests/generation/test_pictures.py
tests/metrics/features/test_inception.py
tests/metrics/features/test_weights.py
tests/metrics/test_copies.py::test_planted_copies_are_counted_and_shown
tests/metrics/test_copies.py::test_the_generators_own_images
tests/metrics/test_copies.py::test_without_a_subset_each_real_is_among_the_others
tests/metrics/test_during_training.py
tests/metrics/test_evaluation.py
tests/metrics/test_image_sets.py
tests/metrics/test_mirrored.py
tests/metrics/test_own_metric.py::test_features_are_computed_once_and_no_number_depends_on_it
tests/metrics/test_samples.py
tests/networks/original/test_page.py
tests/networks/original/test_run.py
tests/networks/test_ada.py
tests/networks/test_errors.py::test_wrong_argument_while_traced
tests/networks/test_execution.py
tests/networks/test_fast_paths.py
tests/networks/test_gradients.py
tests/networks/test_noise.py::test_a_traced_call_without_a_seed_draws_anew_each_time
tests/networks/test_numpy_expectations.py::test_a_calls_truncation_overrides_the_networks_own
tests/networks/test_numpy_expectations.py::test_truncation
tests/networks/test_opening.py
tests/networks/test_sampling.py
tests/networks/test_snapshots.py::test_round_trip
tests/networks/test_spectral_norm.py
tests/networks/test_style_mixing.py
tests/networks/test_torch_state.py
tests/networks/test_torch_variants.py
tests/test_dataset_tool.py::test_a_set_of_each_format
tests/test_dataset_tool.py::test_digits_are_the_built_in_set_and_the_tools_agree
tests/test_run_generator.py
tests/test_run_metrics.py::test_all_metrics_of_a_file
tests/test_wrong_invocations.py
tests/training/classifiers/test_classifiers.py
tests/training/test_ada_training.py
tests/training/test_ablations.py::test_every_row_trains_and_continues_exactly
tests/training/test_distributed.py
tests/training/test_divergence.py
tests/training/test_forecast.py::test_of_a_small_run
tests/training/test_preview.py
tests/training/test_resume.py
tests/training/test_steps.py
tests/training/test_stylegan2_training.py
tests/training/test_transfer.py
tests/training/test_what_is_no_file.py
""".split()

# Files that take a minute or more, which come first, so that the workers end together.
LONGEST = """
tests/training/test_distributed.py
tests/training/test_resume.py
tests/networks/test_golden_networks.py
tests/networks/test_spectral_norm.py
tests/training/test_golden_training.py
tests/training/test_ablations.py
tests/dnnlib/pickles/test_tf_networks_hostile.py
tests/dnnlib/pickles/test_torch_file_hostile.py
tests/dnnlib/pickles/test_torch_networks_hostile.py
tests/metrics/test_during_training.py
tests/networks/original/test_recorded.py
tests/test_run_generator.py
tests/test_run_metrics.py
tests/generation/test_convert.py
tests/generation/test_onnx.py
""".split()


def rank(nodeid: str) -> int:
    """Where a test's file comes in the order of running."""
    file = nodeid.partition("::")[0]
    return LONGEST.index(file) if file in LONGEST else len(LONGEST)


def holds(nodeid: str) -> bool:
    """Whether pytest's name of a test belongs to an entry."""
    name = nodeid.partition("[")[0]
    return name in TESTS or name.partition("::")[0] in TESTS
