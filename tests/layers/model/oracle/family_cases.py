"""The table of reference models of the families after BERT's. Each has shapes that BERT's family does not have."""

from tests.layers.model.oracle import families
from tests.layers.model.oracle.case import TEXTS, Case

FAMILY_CASES: dict[str, Case] = {
    "electra": Case(lambda: families.electra(12), normalize=True),
    "electra-wide": Case(lambda: families.electra(32), texts=TEXTS[:3]),
}
