"""Encoders: texts and pictures to vectors or sets of vectors, sounds and videos to tracks of them.

`load_text_encoder("auto")` is the sentence encoder that comes with its weights in the extra ``encoder``; any
sentence-transformers model can be named instead. One forward pass gives a text's sentence vector and its token
embeddings, and each encoder remembers both for the texts it has seen. `load_image_encoder` does the same for pictures:
patches of pixels without weights, or any vision model of transformers.
"""

from whygen.encoders.plain import ByPicture as ByPicture
from whygen.encoders.plain import Colours as Colours
from whygen.encoders.plain import FrameColours as FrameColours
from whygen.encoders.plain import LogMel as LogMel
from whygen.encoders.plain import PixelPatches as PixelPatches
from whygen.encoders.protocols import AnyEncoder as AnyEncoder
from whygen.encoders.protocols import HasVocabulary as HasVocabulary
from whygen.encoders.protocols import ImageEncoder as ImageEncoder
from whygen.encoders.protocols import TextEncoder as TextEncoder
from whygen.encoders.protocols import TimedEncoder as TimedEncoder
from whygen.encoders.protocols import Track as Track
from whygen.encoders.registry import OWN as OWN
from whygen.encoders.registry import PACKAGED as PACKAGED
from whygen.encoders.registry import TextFunction as TextFunction
from whygen.encoders.registry import brought_encoder as brought_encoder
from whygen.encoders.registry import careful as careful
from whygen.encoders.registry import check_encoder as check_encoder
from whygen.encoders.registry import check_image_encoder as check_image_encoder
from whygen.encoders.registry import encodes_media as encodes_media
from whygen.encoders.registry import has_text_encoder as has_text_encoder
from whygen.encoders.registry import load_image_encoder as load_image_encoder
from whygen.encoders.registry import load_text_encoder as load_text_encoder
from whygen.encoders.registry import load_timed_encoder as load_timed_encoder
from whygen.encoders.registry import names_server as names_server
from whygen.encoders.registry import nearby_encoder as nearby_encoder
from whygen.encoders.word_vectors import WordVectors as WordVectors
from whygen.encoders.word_vectors import open_word_vectors as open_word_vectors
