"""Table II of the paper: parameters, complexity and speed of efficient networks."""

from types import MappingProxyType

from compactnet.report import published
from compactnet.report.sources import Sources
from compactnet.report.tables.complexity_columns import complexity_table

TRIED = MappingProxyType(
    {
        "mobilenet_v2_100": {
            "as it is": 797.0,
            "strides in the 1x1 convolutions": 707.4,
            "without depthwise convolutions": 742.9,
            "without the first 1x1 convolution and the last convolution": 711.0,
        },
        "shufflenet_v1_200": {
            "as it is": 1406.4,
            "strides in the 1x1 convolutions": 1253.0,
            "without depthwise convolutions": 1386.5,
            "with groups in the first unit too": 1304.2,
        },
    }
)
"""{network: {variant: MFLOPs}} of the networks whose printed MFLOPs no variant gives; a test counts each."""


def table2(sources: Sources):
    """Return Table II."""
    paper = {published.network_of(row["model"]): row for row in published.read(sources.published, "table2")}
    tried = []
    for network, found in TRIED.items():
        variants = ", ".join(f"{variant} {mflops:.1f}" for variant, mflops in found.items())
        printed = paper[network]
        tried.append(f"For {printed['model']} (printed {printed['mflops_max_or_sum']:.1f}) we tried: {variants}.")
    remark = (
        "The parameters of MobileNet v2 and ShuffleNet v1 are exact, but we found no reading of the paper that gives "
        f"the printed MFLOPs. {' '.join(tried)} The table shows both networks as they are."
    )
    title = "Table II: parameters, complexity and speed of efficient networks"
    return complexity_table(sources, "table2", title, remark)
