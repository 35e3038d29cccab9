"""Run by test_distributed.py as each of two workers on loopback (TF_CONFIG): trains a few steps
and writes this worker's weights and numbers to argv[2].

StyleGAN2's configuration D has most of what workers must agree on: it grows, its mean of path
lengths is of all replicas, and both regularisers are due now and then, over two passes.
"""

import sys

import numpy as np

from dnnlib import config as config_lib
from metrics.snapshots import DuringTraining
from tests.training.test_stylegan2_training import GROWING, SMALL
from training import loop, presets
from training.state import TrainingState

states = []
original = TrainingState.__init__


def remember(self, *args, **kwargs):
    original(self, *args, **kwargs)
    states.append(self)


TrainingState.__init__ = remember
# Snapshots are measured by one of the workers while the other waits.
config = config_lib.apply_overrides(
    presets.make("demo-stylegan2+config-d"),
    [
        *SMALL,
        *GROWING,
        "schedule.minibatch_gpu_base=2",
        "D_loss.interval=3",
        "G_loss.interval=2",
        "dataset.resolution=8",
        "augment.transforms=blit+color",
        "augment.kimg=0.1",
        "augment.interval=1",
        'metrics.names=["ls-16"]',
        f'metrics.classifiers=["{sys.argv[3]}"]',
    ],
)
exit_code = loop.train(config, sys.argv[1], make_evaluator=DuringTraining)
np.savez(sys.argv[2], **{k.replace("/", "|"): v.numpy() for k, v in states[0].variables().items()})
sys.exit(exit_code)
