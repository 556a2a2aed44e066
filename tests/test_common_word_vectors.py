"""Files of word vectors, read in the order that they come in."""

import pytest

from common.errors import UserError
from common.word_vectors import frequent_vectors


@pytest.mark.parametrize("head", ["", "4 3\n"], ids=["GloVe", "word2vec"])
def test_the_first_words_and_their_vectors(tmp_path, head):
    path = tmp_path / "vectors.txt"
    path.write_text(f"{head}the 1 -2 3\n. . . 0.5 0 -0.5\nzebra 4 5 6\nrare 7 8 9\n")
    words, vectors = frequent_vectors(path, 3)
    assert words == ["the", ". . .", "zebra"]
    assert vectors.tolist() == [[1, -2, 3], [0.5, 0, -0.5], [4, 5, 6]]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("who 1 2\nis 1\n", "line 2: 1 numbers after the word; expected 2 as in the first line"),
        ("who 1 2\nis 1 2 3\n", "line 2: 3 numbers after the word; expected 2 as in the first line"),
        ("who\n", "line 1: 0 numbers after the word; expected 1 as in the first line"),
        ("who 1 nan\n", "line 1: a number that is not finite"),
        ("who 1 x\n", "line 1: could not convert string to float: b'x'; expected a word and its numbers"),
        ("", "no vectors"),
    ],
)
def test_damaged_vectors_are_told_with_their_line(tmp_path, text, told):
    path = tmp_path / "vectors.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=f"vectors.txt.*{told}"):
        frequent_vectors(path, 10)
    with pytest.raises(UserError, match=r"none\.txt: no such"):
        frequent_vectors(tmp_path / "none.txt", 10)
