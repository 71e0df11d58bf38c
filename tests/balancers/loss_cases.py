"""Rows of the table of laws: balancers of losses."""

from law_case import Tasks, case

from keras_mtl import balancers
from keras_mtl.balancers import LossBalancer


def by_task(tasks: Tasks) -> list[float]:
    return [1.0 + task for task in tasks]


CASES = {
    "Equal": case(lambda tasks: balancers.Equal(), LossBalancer, (1.0, 1.0)),
    "Fixed": case(
        lambda tasks: balancers.Fixed([1.0 + task for task in tasks]), LossBalancer, (1.0, 2.0)
    ),
    "Uncertainty": case(
        lambda tasks: balancers.Uncertainty(regression=[task % 2 == 0 for task in tasks]),
        LossBalancer,
        (0.5, 1.0),
    ),
    "DWA": case(lambda tasks: balancers.DWA(window=1), LossBalancer, (1.0, 1.0)),
    "ScaleInvariant": case(lambda tasks: balancers.ScaleInvariant(), LossBalancer, (1.0, 1.0)),
    "GeometricMean": case(lambda tasks: balancers.GeometricMean(), LossBalancer, (0.5, 0.5)),
    "UncertaintySoftmax": case(
        lambda tasks: balancers.UncertaintySoftmax(temperature=2.0),
        LossBalancer,
        (0.5, 0.5),
        "simplex",
    ),
    "RandomWeighting": case(
        lambda tasks: balancers.RandomWeighting(), LossBalancer, (), "simplex", "drawn"
    ),
    "IMTLL": case(lambda tasks: balancers.IMTLL(), LossBalancer, (1.0, 1.0)),
    "STCH": case(
        lambda tasks: balancers.STCH(preference=by_task(tasks), reference=[-t for t in tasks]),
        LossBalancer,
        (0.268941 / 3, 2 * 0.731059 / 3),  # softmax(1/3, 4/3) times (1/3, 2/3)
    ),
    "Tchebycheff": case(
        lambda tasks: balancers.Tchebycheff(preference=by_task(tasks)),
        LossBalancer,
        (0.0, 0.666667),
    ),
    "PBI": case(
        lambda tasks: balancers.PBI(theta=0.5, preference=by_task(tasks)),
        LossBalancer,
        (0.447214 + 0.447214, 0.894427 - 0.223607),
    ),
    "COSMOS": case(lambda tasks: balancers.COSMOS(), LossBalancer, (), "drawn", "drawn for all"),
    "FAMO": case(lambda tasks: balancers.FAMO(), LossBalancer, (0.5, 0.5), "simplex"),
    "CoV": case(lambda tasks: balancers.CoV(), LossBalancer, (0.5, 0.5), "simplex"),
    "GO4Align": case(lambda tasks: balancers.GO4Align(), LossBalancer, (0.5, 0.5)),
    "DTP": case(lambda tasks: balancers.DTP(gamma=by_task(tasks)), LossBalancer, (1.0, 1.0)),
    "SelfPaced": case(lambda tasks: balancers.SelfPaced(), LossBalancer, (1.0, 1.0)),
    "Schedule": case(
        lambda tasks: balancers.Schedule(
            by_task(tasks), decay=[0.95**task for task in tasks], per="step"
        ),
        LossBalancer,
        (1.0, 2.0),
    ),
    "ValidationDriven": case(
        lambda tasks: balancers.ValidationDriven(target=by_task(tasks)), LossBalancer, (1.0, 1.0)
    ),
}
VARIANTS = {
    "DWA by epoch": case(lambda tasks: balancers.DWA(), LossBalancer, (1.0, 1.0)),
    "Uncertainty revised": case(
        lambda tasks: balancers.Uncertainty(
            regression=[task % 2 == 0 for task in tasks], revised=True
        ),
        LossBalancer,
        (0.5, 1.0),
    ),
    "RandomWeighting Dirichlet": case(
        lambda tasks: balancers.RandomWeighting(distribution="dirichlet"),
        LossBalancer,
        (),
        "simplex",
        "drawn",
    ),
    "RandomWeighting one-hot": case(
        lambda tasks: balancers.RandomWeighting(distribution="one-hot"),
        LossBalancer,
        (),
        "simplex",
        "drawn",
    ),
    "COSMOS with a preference": case(
        lambda tasks: balancers.COSMOS(preference=by_task(tasks)),
        LossBalancer,
        (0.333333 + 0.158114, 0.666667 - 0.158114),
    ),
    "STCH with warm-up": case(
        lambda tasks: balancers.STCH(mu=0.5, warmup_epochs=1), LossBalancer, (1.0, 1.0)
    ),
    "CoV with decay": case(
        lambda tasks: balancers.CoV(decay=0.9), LossBalancer, (0.5, 0.5), "simplex"
    ),
    "GO4Align in three groups": case(
        lambda tasks: balancers.GO4Align(num_groups=3, beta=0.1), LossBalancer, (0.5, 0.5)
    ),
    "Schedule by epoch": case(
        lambda tasks: balancers.Schedule(by_task(tasks), decay=0.5), LossBalancer, (1.0, 2.0)
    ),
}
