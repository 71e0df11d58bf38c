"""Rows of the table of laws: balancers of the Gramian."""

from law_case import Tasks, case

from keras_mtl import balancers
from keras_mtl.balancers import GramianBalancer


def rays(tasks: Tasks) -> list[list[float]]:
    """Builds six preferences whose entry for a task depends on no other task."""
    # Five that each favor one task, and one that treats all tasks equally.
    favoring_one = [[1.0 if task == ray else 0.2 for task in tasks] for ray in range(5)]
    return [*favoring_one, [1.0] * len(tasks)]


CASES = {
    "MGDA": case(
        lambda tasks: balancers.MGDA(), GramianBalancer, (0.6, 0.4), "simplex", "no conflict"
    ),
    "PCGrad": case(
        lambda tasks: balancers.PCGrad(),
        GramianBalancer,
        (2.2222, 1.5789),
        "no conflict of two",
        "random order",
    ),
    "CAGrad": case(lambda tasks: balancers.CAGrad(c=0.5), GramianBalancer, (0.7041, 0.5)),
    "GradVac": case(
        lambda tasks: balancers.GradVac(),
        GramianBalancer,
        (2.2222, 1.5789),
        "no conflict of two",
        "random order",
    ),
    "GradNorm": case(lambda tasks: balancers.GradNorm(), GramianBalancer, (1.0, 1.0)),
    "CRMOGM": case(
        lambda tasks: balancers.CRMOGM(balancers.GradNorm(), alpha=0.5), GramianBalancer, (1.0, 1.0)
    ),
    "ConFIG": case(
        lambda tasks: balancers.ConFIG(), GramianBalancer, (1.2265, 0.8441), "no conflict"
    ),
    "EPO": case(
        lambda tasks: balancers.EPO(preference=[1.0 + task for task in tasks]),
        GramianBalancer,
        (0.0879, 0.9121),  # L_2 is too large for its preference
        "simplex",
    ),
    "ParetoMTL": case(
        lambda tasks: balancers.ParetoMTL(preferences=rays(tasks), index=5),
        GramianBalancer,
        (0.6, 0.4),
    ),
    "PCD": case(
        lambda tasks: balancers.PCD(primary=list(tasks).index(0)),
        GramianBalancer,
        (1.8481, 1.0954),
    ),
    "GradOPS": case(
        lambda tasks: balancers.GradOPS(), GramianBalancer, (2.2222, 1.5789), "no conflict"
    ),
    "GradientGate": case(
        lambda tasks: balancers.GradientGate(main=list(tasks).index(0)),
        GramianBalancer,
        (1.0, 0.0),
    ),
    "GradientSimilarity": case(
        lambda tasks: balancers.GradientSimilarity(), GramianBalancer, (1.0, 1.0)
    ),
    # Directions that a small solver finds.
    "UPGrad": case(
        lambda tasks: balancers.UPGrad(), GramianBalancer, (1.1111, 0.7895), "no conflict"
    ),
    "DualProj": case(
        lambda tasks: balancers.DualProj(), GramianBalancer, (0.6111, 0.5), "no conflict"
    ),
    "NashMTL": case(
        lambda tasks: balancers.NashMTL(),
        GramianBalancer,
        (0.4182, 0.2878),
        "no conflict",
        "scale matters",  # only because the length of the direction is limited
    ),
    "FairGrad": case(
        lambda tasks: balancers.FairGrad(alpha=2),
        GramianBalancer,
        (0.4714, 0.3195),
        "no conflict",
        "scale matters",
    ),
    "IMTLG": case(
        lambda tasks: balancers.IMTLG(), GramianBalancer, (0.5923, 0.4077), "no conflict"
    ),
    "AlignedMTL": case(lambda tasks: balancers.AlignedMTL(), GramianBalancer, (0.5591, 0.4083)),
    "PEMTL": case(
        lambda tasks: balancers.PEMTL(c=[0.0004 * (1 + task) for task in tasks]),
        GramianBalancer,
        (0.6, 0.4),
        "simplex",
    ),
    "Krum": case(lambda tasks: balancers.Krum(), GramianBalancer, (0.5, 0.5), "simplex"),
}
VARIANTS = {
    "MGDA l2": case(lambda tasks: balancers.MGDA(normalization="l2"), GramianBalancer, ()),
    "MGDA loss+": case(lambda tasks: balancers.MGDA(normalization="loss+"), GramianBalancer, ()),
    "GradientGate weighted": case(
        lambda tasks: balancers.GradientGate(main=list(tasks).index(0), weighted=True, ema=0.5),
        GramianBalancer,
        (1.0, 0.0),
    ),
    "CAGrad c=1": case(lambda tasks: balancers.CAGrad(c=1.0), GramianBalancer, (), "no conflict"),
    "CAGrad c=0": case(lambda tasks: balancers.CAGrad(c=0.0), GramianBalancer, (0.5, 0.5)),
    "EPO in descent": case(
        lambda tasks: balancers.EPO(epsilon=10.0), GramianBalancer, (0.55, 0.45)
    ),
    "ParetoMTL at once": case(
        lambda tasks: balancers.ParetoMTL(preferences=rays(tasks), index=1, initial_epochs=0),
        GramianBalancer,
        (),
    ),
    "PCD tau=0.5": case(
        lambda tasks: balancers.PCD(
            primary=list(tasks).index(0), tau=[0.5 / (1 + task) for task in tasks], beta=0.5
        ),
        GramianBalancer,
        (),
    ),
    # Directions that a small solver finds.
    "NashMTL unlimited": case(
        lambda tasks: balancers.NashMTL(max_norm=None), GramianBalancer, (4.2777, 2.9441)
    ),
    "FairGrad alpha=1": case(
        lambda tasks: balancers.FairGrad(), GramianBalancer, (0.5915, 0.4071), "scale matters"
    ),
    "FairGrad alpha=0.5": case(
        lambda tasks: balancers.FairGrad(alpha=0.5),
        GramianBalancer,
        (0.7428, 0.5254),
        "scale matters",
    ),
    "FairGrad alpha=10": case(
        lambda tasks: balancers.FairGrad(alpha=10),
        GramianBalancer,
        (0.3393, 0.2269),
        "scale matters",
    ),
    "FairGrad alpha=0": case(
        lambda tasks: balancers.FairGrad(alpha=0), GramianBalancer, (1.0, 1.0)
    ),
    "AlignedMTL median": case(
        lambda tasks: balancers.AlignedMTL(scale="median"), GramianBalancer, (0.5591, 0.4083)
    ),
    "AlignedMTL rmse by preference": case(
        lambda tasks: balancers.AlignedMTL(scale="rmse", preference=[1.0 + t for t in tasks]),
        GramianBalancer,
        (),
    ),
    "PEMTL c=0.5, 0.005": case(
        lambda tasks: balancers.PEMTL(c=[0.005 if task else 0.5 for task in tasks]),
        GramianBalancer,
        (0.6, 0.4),
        "simplex",
    ),
    "Krum f=1, m=2": case(
        lambda tasks: balancers.Krum(f=1, m=2), GramianBalancer, (0.5, 0.5), "simplex"
    ),
}
