"""Do the experts and the discriminator carry over to images of another kind (section 5.3 of the paper)? Two questions.

Does the mechanism transfer: how close comes the answer of the expert that owns a mechanism on the digits to the true
original? Does the referee transfer: how many images does that expert win? Table axes: mechanism, expert."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from icm.classifier import load_reader
from icm.evaluation import Evaluation, evaluate
from icm.mechanisms import Mechanism
from icm.models import Discriminator, ExpertBank
from icm.unseen import Unseen


@dataclass(frozen=True)
class Transfer:
    """The same networks on digits and on other images; owners are those on the digits in both."""

    digits: Evaluation
    other: Evaluation

    def to_json(self) -> dict[str, Any]:
        return {"digits": self.digits.to_json(), **self.other.to_json()}


def measure(
    experts: ExpertBank,
    discriminator: Discriminator,
    mechanisms: Sequence[Mechanism],
    images: Unseen,
    owner: Sequence[int | None] | None = None,
) -> Evaluation:
    """The networks on a set; where it has labels, what the digit reader makes of it too."""
    reader = None if images.labels is None else load_reader()
    return evaluate(
        experts,
        discriminator,
        images.pixels,
        mechanisms,
        owner,
        images.labels,
        read=None if reader is None else lambda shown: reader(shown).argmax(dim=1),
    )


def transfer(
    experts: ExpertBank,
    discriminator: Discriminator,
    mechanisms: Sequence[Mechanism],
    digits: Unseen,
    other: Unseen,
) -> Transfer:
    """Both sets measured; who owns what is found on the digits."""
    here = measure(experts, discriminator, mechanisms, digits)
    return Transfer(here, measure(experts, discriminator, mechanisms, other, here.owner))
