"""Steps of TorchJD, as a worker in TorchJD's own environment.

A step is written as TorchJD's documentation shows it for multi-task learning. Where there are
several ways (all rows of the Jacobian in one vectorized pass or one after the other, the
Gramian of the joined Jacobian or tensor by tensor, the Gramian engine), the fastest counts.
"""

import importlib.metadata
import os

import torch
from problem import batch, is_binary, kernels
from torchjd import aggregation, scalarization
from torchjd.autogram import Engine
from torchjd.autojac import jac, jac_to_grad, mtl_backward
from turns import fastest, serve

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

AGGREGATORS = {
    "AlignedMTL": lambda count: aggregation.AlignedMTL(),
    "CAGrad": lambda count: aggregation.CAGrad(c=0.5),
    "ConFIG": lambda count: aggregation.ConFIG(),
    "CRMOGM": lambda count: aggregation.GramianWeightedAggregator(
        aggregation.CRMOGMWeighting(aggregation.MGDAWeighting())
    ),
    "DualProj": lambda count: aggregation.DualProj(),
    "ExcessMTL": lambda count: aggregation.ExcessMTL(),
    "FairGrad": lambda count: aggregation.FairGrad(alpha=2.0),
    "GradDrop": lambda count: aggregation.GradDrop(),
    "GradVac": lambda count: aggregation.GradVac(),
    "IMTLG": lambda count: aggregation.IMTLG(),
    "Krum": lambda count: aggregation.Krum(n_byzantine=0),
    "MGDA": lambda count: aggregation.MGDA(),
    "NashMTL": lambda count: aggregation.NashMTL(n_tasks=count),
    "PCD": lambda count: aggregation.PCD(),
    "PCGrad": lambda count: aggregation.PCGrad(),
    "TrimmedMean": lambda count: aggregation.TrimmedMean(trim_number=(count - 1) // 2),
    "UPGrad": lambda count: aggregation.UPGrad(),
}
OF_SAMPLES = {
    "MoDo": lambda count: aggregation.MoDoWeighting(),
    "SDMGrad": lambda count: aggregation.SDMGradWeighting(),
}
SCALARIZERS = {
    "DWA": lambda count: scalarization.DWA(),
    "Equal": lambda count: scalarization.Sum(),
    "FAMO": lambda count: scalarization.FAMO(count),
    "Fixed": lambda count: scalarization.Constant(torch.arange(1.0, count + 1)),
    "GeometricMean": lambda count: scalarization.GeometricMean(),
    "IMTLL": lambda count: scalarization.IMTLL(count),
    "PBI": lambda count: scalarization.PBI(theta=5.0, weights=torch.ones(count)),
    "RandomWeighting": lambda count: scalarization.Random(),
    "STCH": lambda count: scalarization.STCH(mu=1.0),
    "Uncertainty": lambda count: scalarization.UW(count),
}


class Training:
    """Holds the network, its losses and its optimizer."""

    def __init__(self, count):
        shared, towers = kernels(count)
        self.trunk = torch.nn.Sequential(*[part for kernel in shared for part in layer(kernel)])
        self.towers = [torch.nn.Sequential(*layer(tower), dense(head)) for tower, head in towers]
        self.shared = list(self.trunk.parameters())
        self.tower_variables = [list(tower.parameters()) for tower in self.towers]
        x, labels = batch(count)
        self.x, self.labels = torch.from_numpy(x), [torch.from_numpy(y) for y in labels]

    def optimize(self, *more):
        """Makes Adam with a fused kernel, which is the fastest on a CPU."""
        tower_variables = [v for variables in self.tower_variables for v in variables]
        variables = [*self.shared, *tower_variables, *more]
        self.optimizer = torch.optim.Adam(variables, lr=1e-3, eps=1e-7, fused=True)

    def update(self):
        self.optimizer.step()
        self.optimizer.zero_grad()

    def predictions(self, rows):
        with torch.no_grad():
            logits = [tower(self.trunk(self.x[:rows]))[:, 0] for tower in self.towers]
        return [
            (torch.sigmoid(z) if is_binary(task) else z).tolist() for task, z in enumerate(logits)
        ]

    def losses(self, rows=slice(None)):
        features = self.trunk(self.x[rows])
        losses = []
        for task, (tower, y) in enumerate(zip(self.towers, self.labels, strict=True)):
            kind = "binary_cross_entropy_with_logits" if is_binary(task) else "mse_loss"
            losses.append(getattr(torch.nn.functional, kind)(tower(features)[:, 0], y[rows]))
        return features, losses


def dense(kernel):
    linear = torch.nn.Linear(*kernel.shape)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(kernel.T.copy()))
        linear.bias.zero_()
    return linear


def layer(kernel):
    return dense(kernel), torch.nn.ReLU()


def by_jacobian(training, aggregator, chunk, by_tensors):
    def step():
        features, losses = training.losses()
        mtl_backward(
            losses,
            features=features,
            tasks_params=training.tower_variables,
            shared_params=training.shared,
            parallel_chunk_size=chunk,
        )
        jac_to_grad(training.shared, aggregator, optimize_gramian_computation=by_tensors)
        training.update()

    return step


def by_gramian(training, weighting):
    engine = Engine(training.trunk, batch_dim=None)

    def step():
        losses = torch.stack(training.losses()[1])
        losses.backward(weighting(engine.compute_gramian(losses)))
        training.update()

    return step


def ways_of(count, make):
    training = Training(count)
    training.optimize()
    for chunk, how in ((None, "vectorized"), (1, "one by one")):
        for by_tensors in (False, True):
            label = how + (", Gramian by tensors" if by_tensors else "")
            yield label, by_jacobian(training, make(), chunk, by_tensors)
    if isinstance(make(), aggregation.GramianWeightedAggregator):
        hooked = Training(count)  # an engine leaves hooks on the trunk
        hooked.optimize()
        yield "engine", by_gramian(hooked, make().gramian_weighting)


def by_samples(training, weighting, chunk):
    """Returns a step on three parts of the batch: two for the weights, one for the update."""

    def step():
        matrices = []
        for part in range(2):
            losses = torch.stack(training.losses(slice(part, None, 3))[1])
            rows = jac(losses, training.shared, parallel_chunk_size=chunk)
            matrices.append(torch.cat([row.flatten(1) for row in rows], dim=1))
        weights = weighting(matrices[0] @ matrices[1].T)
        torch.stack(training.losses(slice(2, None, 3))[1]).backward(weights)
        training.update()

    return step


def by_losses(training, scalarizer):
    training.optimize(*scalarizer.parameters())

    def step():
        losses = torch.stack(training.losses()[1])
        scalarizer(losses).backward()
        training.update()
        if isinstance(scalarizer, scalarization.FAMO):
            with torch.no_grad():
                after = torch.stack(training.losses()[1])
            scalarizer.update(after)

    return step


def prepare(name, count):
    training = Training(count)
    predictions = training.predictions(4)
    if name in AGGREGATORS:
        ways = dict(ways_of(count, lambda: AGGREGATORS[name](count)))
    elif name in OF_SAMPLES:
        training.optimize()
        ways = {
            how: by_samples(training, OF_SAMPLES[name](count), chunk)
            for chunk, how in ((None, "vectorized"), (1, "one by one"))
        }
    else:
        # Stock training is the sum of the losses.
        ways = {"": by_losses(training, SCALARIZERS.get(name, SCALARIZERS["Equal"])(count))}
    remark, step = fastest(ways)
    return step, predictions, remark


serve(prepare, {name: importlib.metadata.version(name) for name in ("torch", "torchjd")})
