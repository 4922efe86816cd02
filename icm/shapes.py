"""The axes and tensor types that every signature uses; the order is always expert, batch, channel, height, width.

Images are float in [0, 1], ink bright on a background of 0, one channel, 32 x 32 unless a test makes them smaller.
Shapes are checked at test time (tests/conftest.py); at run time the annotations cost nothing."""

from jaxtyping import Float, Int, UInt8
from torch import Tensor

Images = Float[Tensor, "batch 1 height width"]
"""Pixels in [0, 1]."""

Answers = Float[Tensor, "expert batch 1 height width"]
"""Every expert's answer to every image, pixels in [0, 1]."""

Logits = Float[Tensor, "expert batch"]
"""The discriminator's score of every answer; above 0 it takes the answer for a canonical image."""

ImageLogits = Float[Tensor, " batch"]
"""The discriminator's score of every image."""

Winner = Int[Tensor, " batch"]
"""Index of the expert that won each image."""

MechanismIndex = Int[Tensor, " batch"]
"""Index of the mechanism that made each image. Truth: never an argument of the learner."""

Pixels = UInt8[Tensor, "_ 1 height width"]
"""A stored set of images, 0 to 255."""

Labels = Int[Tensor, " _"]
"""Which digit each image is, 0 to 9. For the reader and the figures, never for the experts."""
