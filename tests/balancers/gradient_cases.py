"""Rows of the table of laws: balancers of gradients."""

from law_case import Case, Tasks, case

from keras_mtl import balancers
from keras_mtl.balancers import GradientBalancer


def position_of_task_0(tasks: Tasks) -> int:
    return list(tasks).index(0)


CASES = {
    "GradDrop": case(
        lambda tasks: balancers.GradDrop(leak=[0.1 * (task % 2) for task in tasks]),
        GradientBalancer,
        ((-4.0 + 0.6, 2.0, 2.0), (6.0, 2.0, 2.0)),
        "random signs",
    ),
    "MConFIG": case(
        lambda tasks: balancers.MConFIG(), GradientBalancer, ((1.0, 1.0, 1.0),), "scale matters"
    ),
    "MetaBalance": case(
        lambda tasks: balancers.MetaBalance(target=position_of_task_0(tasks)),
        GradientBalancer,
        ((-4 + 6 * 0.781773, 1.781773, 1.781773),),  # 0.7 sqrt(18 / 38) + 0.3
    ),
    "ExcessMTL": case(lambda tasks: balancers.ExcessMTL(), GradientBalancer, ((1.0, 1.0, 1.0),)),
    "MoCo": case(
        lambda tasks: balancers.MoCo(), GradientBalancer, ((-0.125, 0.5, 0.5),), "scale matters"
    ),
    "DBMTL": case(
        lambda tasks: balancers.DBMTL(),
        GradientBalancer,
        ((0.6 - 0.4 * 1.452966, 0.2452966, 0.2452966),),  # sqrt(38 / 18), a tenth at first
    ),
    "TrimmedMean": case(
        lambda tasks: balancers.TrimmedMean(), GradientBalancer, ((1.0, 1.0, 1.0),)
    ),
    "AdaTask": case(
        lambda tasks: balancers.AdaTask(weights=[1.0 + task % 2 for task in tasks]),
        GradientBalancer,
        ((1.0, 3.0, 3.0),),  # the second task takes steps of 2
        "scale matters",
    ),
}
VARIANTS: dict[str, Case] = {
    "AdaTask by AdaGrad": case(
        lambda tasks: balancers.AdaTask(optimizer="adagrad"),
        GradientBalancer,
        ((0.0, 2.0, 2.0),),
        "scale matters",
    ),
}
