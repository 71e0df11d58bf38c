"""Rows of the table of laws: balancers that read several samples or a second batch."""

from law_case import case

from keras_mtl import balancers
from keras_mtl.balancers import GramianBalancer

CASES = {
    "MoDo": case(
        lambda tasks: balancers.MoDo(), GramianBalancer, (0.505, 0.495), "simplex", "scale matters"
    ),
    "SDMGrad": case(lambda tasks: balancers.SDMGrad(), GramianBalancer, (0.6, 0.4)),
    # Their matrix holds gains, not products; the first step of Adam depends on signs alone.
    "AutoLambda": case(
        lambda tasks: balancers.AutoLambda(primary=[1.0 + task for task in tasks]),
        GramianBalancer,
        (0.0999, 0.1001),
        "scale matters",  # below the epsilon of Adam
    ),
    "MOML": case(lambda tasks: balancers.MOML(), GramianBalancer, (1.001, 1.001)),
    # The sums of both batches' weights. It combines unit gradients with one that is no unit vector.
    "FORUM": case(
        lambda tasks: balancers.FORUM(rho=2.0, inner_steps=2),
        GramianBalancer,
        (1.3143, 1.0786),
        "scale matters",
    ),
}
VARIANTS = {
    "SDMGrad lambda=0": case(
        lambda tasks: balancers.SDMGrad(lambda_=0.0), GramianBalancer, (0.6, 0.4), "simplex"
    ),
}
