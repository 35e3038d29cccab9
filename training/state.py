"""What a run trains: three networks and two optimizers, and all of it by name."""

from __future__ import annotations

import dataclasses

import networks
from training.optimizer import Adam


@dataclasses.dataclass
class TrainingState:
    """G, its moving average Gs, D, and their optimizers."""

    G: object
    D: object
    Gs: object
    G_opt: Adam
    D_opt: Adam

    def variables(self) -> dict:
        """{name: tf.Variable} of everything that training changes."""
        parts = {"G": self.G.named, "D": self.D.named, "Gs": self.Gs.named}
        parts["G_opt"], parts["D_opt"] = self.G_opt.state(), self.D_opt.state()
        return {
            f"{part}/{name}": variable
            for part, variables in parts.items()
            for name, variable in variables.items()
        }

    def reset_optimizers(self) -> None:
        self.G_opt.reset()
        self.D_opt.reset()

    def set_lod(self, lod: float) -> None:
        """Records the level of detail in the networks, for snapshots."""
        for network in (self.G, self.Gs, self.D):
            network.set_lod(lod)


def create_state(G_options, D_options, G_adam, D_adam, *, loss_scaling=False, seed=0):
    """Makes networks and optimizers; call it inside `strategy.scope()`.

    G_options, D_options: keyword options with `func_name`. G_adam, D_adam: beta1, beta2 and
    epsilon. Gs starts as a copy of G.
    """
    G = networks.build(seed=seed, **G_options)
    D = networks.build(seed=seed + 1, **D_options)
    Gs = networks.build(seed=seed, **G_options)
    return TrainingState(
        G=G,
        D=D,
        Gs=Gs,
        G_opt=Adam(G.trainable(), loss_scaling=loss_scaling, **G_adam),
        D_opt=Adam(D.trainable(), loss_scaling=loss_scaling, **D_adam),
    )
