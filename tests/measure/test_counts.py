"""The file of counts."""

import pytest

from compactnet.errors import InputError
from compactnet.measure.counts import CountCache
from compactnet.networks import CATALOGUE


def test_counts_are_kept_and_counted_again_on_request(tmp_path, repository):
    committed = repository / "results" / "complexity.csv"
    path = tmp_path / "complexity.csv"
    path.write_text(committed.read_text().replace("220970", "123"))
    shape = (128, 512, 1)
    spec = CATALOGUE["mobilenet_v1_025"]
    assert CountCache(path).get("mobilenet_v1_025", spec, shape).params == 123
    counts = CountCache(path, recount=True)
    assert counts.get("mobilenet_v1_025", spec, shape).params == 220_970
    # 256 weights and a bias for each class more.
    assert counts.get("mobilenet_v1_025", spec, shape, classes=15).params == 220_970 + 5 * 257
    counts.save()
    for classes, params in ((10, 220_970), (15, 222_255)):
        assert CountCache(path).get("mobilenet_v1_025", spec, shape, classes).params == params
    path.write_text("network,input\na,b\n")
    with pytest.raises(InputError, match="not a table of counts"):
        CountCache(path)
