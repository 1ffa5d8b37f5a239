"""Every string that a report shows, a file per language.

The texts are plain: no markup stands in them, and what is put into them is escaped where it is
shown. Another language is another file with the same keys.
"""

from equipoise.words.texts import Texts, languages, load, named, say

__all__ = ["Texts", "languages", "load", "named", "say"]
