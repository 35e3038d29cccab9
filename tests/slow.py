"""Tests that trace, train or start processes for seconds each: `pytest --fast` leaves them out.

An entry is a file, or one test of it with all its parameters. Tests that need golden data are left
out without one.
"""

TESTS = """
tests/datasets/format/test_builtin.py::test_digits
tests/datasets/test_inspection.py
tests/dnnlib/pickles/test_tf_networks_hostile.py::test_floods_take_little_memory
tests/dnnlib/pickles/test_tf_networks_hostile.py::test_the_corpus_takes_little_memory
tests/dnnlib/pickles/test_torch_file_hostile.py::test_floods_take_little_memory
tests/dnnlib/test_quiet.py::test_importing_tensorflow
tests/dnnlib/test_spawning.py
tests/generation/test_convert.py
tests/metrics/test_during_training.py
tests/metrics/test_evaluation.py
tests/metrics/test_mirrored.py
tests/metrics/test_samples.py
tests/networks/original/test_page.py
tests/networks/test_execution.py
tests/networks/test_fast_paths.py::test_networks_by_plan
tests/networks/test_gradients.py
tests/networks/test_opening.py
tests/networks/test_spectral_norm.py
tests/networks/test_style_mixing.py
tests/test_dataset_tool.py::test_a_set_of_each_format
tests/test_dataset_tool.py::test_digits_are_the_built_in_set_and_the_tools_agree
tests/test_run_generator.py
tests/test_run_metrics.py::test_all_metrics_of_a_file
tests/training/classifiers/test_classifiers.py::test_two_replicas_share_a_minibatch
tests/training/test_ablations.py::test_every_row_trains_and_continues_exactly
tests/training/test_distributed.py
tests/training/test_resume.py
tests/training/test_steps.py
""".split()


def holds(nodeid: str) -> bool:
    """Whether pytest's name of a test belongs to an entry."""
    name = nodeid.partition("[")[0]
    return name in TESTS or name.partition("::")[0] in TESTS
