"""Run by test_distributed.py as each of two workers on loopback (TF_CONFIG): trains a few steps
and writes this worker's weights to argv[2]."""

import sys

import numpy as np

from metrics.snapshots import DuringTraining
from tests.training.small import small_config
from training import loop
from training.state import TrainingState

states = []
original = TrainingState.__init__


def remember(self, *args, **kwargs):
    original(self, *args, **kwargs)
    states.append(self)


TrainingState.__init__ = remember
# Snapshots are measured by one of the workers while the other waits.
config = small_config(
    "total_kimg=0.1",
    "schedule.minibatch_base=8",
    'metrics.names=["ls-16"]',
    f'metrics.classifiers=["{sys.argv[3]}"]',
)
exit_code = loop.train(config, sys.argv[1], make_evaluator=DuringTraining)
np.savez(sys.argv[2], **{k.replace("/", "|"): v.numpy() for k, v in states[0].variables().items()})
sys.exit(exit_code)
