"""Listings 3.10 to 3.13: questions through torchtext 0.6.0.

    python ch03_workflow/torchtext_tour.py
    python ch03_workflow/torchtext_tour.py --data TREC     the page's own questions

From text files to padded batches. torchtext is archived. 0.6.0 is the last release with the book's API in pure Python,
so it runs on today's torch; nothing else in this chapter leans on it. New code takes the fifty lines of
plain_text_pipeline.py: the last cell proves their batches equal. Files go to runs/torchtext_tour.
"""

import csv
import random
import ssl
import textwrap

import spacy
import torch
import torchtext
from nltk.tree import Tree
from torch import nn
from torchtext import data

from ch03_workflow import plain_text_pipeline as plain
from ch03_workflow.loaders.trec import TEST_FILE, TRAIN_FILE, TSV_FILES, read_label_file, read_splits, write_tsv
from common.tours import tour
from data import sample
from data.questions import make_questions

data_flag = {"default": "sample", "metavar": "{sample,DIR}", "help": "the sample, or a folder with TREC's files"}
args = tour(__doc__, flags={"--data": data_flag})
device = args.device

# %% 3.10 pip install torchtext==0.6.0
# Without the version, pip takes one that has no Field, TabularDataset and Iterator, and was compiled for an old torch.
book_api = ("Field", "TabularDataset", "Iterator", "BucketIterator", "BPTTIterator")
print(f"{torchtext.__version__ = }, all there: {all(hasattr(data, name) for name in book_api)}")

# %% Table: the steps of the usual preprocessing, and what does each below
steps = {
    "split into training, test and validation sets": "TabularDataset.splits",
    "numericalise (or one-hot encode, or embed)": "Field.build_vocab, and the vectors given to it",
    "batch": "Iterator.splits",
    "pad to the longest sequence": "Iterator, batch by batch",
}
for step, tool in steps.items():
    print(f"{step:<48}{tool}")

# %% The questions, written as the three TSV files of the page
splits = read_splits(args.data)
# The page's batch of test questions is of 99, and the sample has fewer: some of those to train with make it up.
missing = max(0, 99 - len(splits["test"]))
splits["test"] += splits["train"][:missing]
del splits["train"][:missing]
for split, name in TSV_FILES.items():
    write_tsv(args.out / name, splits[split])
print(f"{ {split: len(questions) for split, questions in splits.items()} }")
print(f"{'Text':<48}Label")
for question in splits["train"][:2]:
    print(f"{question.text[:46]:<48}{question.label}")

# %% 3.11 The tokenizer
# spacy.load("en") was a link to a model; spaCy 3 has none. For the tokenizer alone no model is needed.
try:
    spacy.load("en")
except OSError as error:
    no_shortcut = str(error)
    print(f"OSError: {no_shortcut[:60]}...")
spacy_en = spacy.blank("en")


def tokenizer(text):
    return [tok.text for tok in spacy_en.tokenizer(text)]


print(tokenizer("How do you measure earthquakes ?"))

# %% 3.11 Fields say how a column becomes numbers, TabularDataset reads the columns
TEXT = data.Field(sequential=True, tokenize=tokenizer, lower=True)
LABEL = data.Field(sequential=False, use_vocab=True)
train, val, test = data.TabularDataset.splits(
    path=str(args.out),
    train="TRECtrain.tsv",
    validation="TRECval.tsv",
    test="TRECtest.tsv",
    format="tsv",
    fields=[("Text", TEXT), ("Label", LABEL)],
    # The page leaves this out; what happens then, the next cell shows.
    csv_reader_params={"quoting": csv.QUOTE_NONE},
)
print(f"{len(train) = }, {len(val) = }, {len(test) = }")
print(f"{train[0].Text[:8] = }, {train[0].Label = }")
defaults = {name: value for name, value in vars(data.Field()).items() if isinstance(value, str | bool | None)}
print("a Field's defaults:", *(f"{name}={value!r}" for name, value in defaults.items()), sep="\n    ")
# Not fixed_length, as the text has it: this one pads and cuts every example to its length.
short = data.Field(fix_length=4)
fixed = short.pad([["Who", "?"], ["How", "far", "is", "the", "moon", "?"]])
print(f"{fixed = }")

# %% What TabularDataset does not tell
# A question that begins with a quotation mark swallows the lines up to the next one; a line with one column makes an
# example without a label.
traps = args.out / "traps.tsv"
traps.write_text('" Heroes is a song of whom ?\tHUM\nWho sang " Help ?\tHUM\nWhere is Lima ?\n', encoding="utf-8")
fields = [("Text", TEXT), ("Label", LABEL)]
quoted = data.TabularDataset(str(traps), "tsv", fields)
unquoted = data.TabularDataset(str(traps), "tsv", fields, csv_reader_params={"quoting": csv.QUOTE_NONE})
no_label = not hasattr(unquoted[2], "Label")
print(f"of 3 lines: {len(quoted) = }, {len(unquoted) = }; {no_label = }")
# ch03_workflow/loaders/trec.py reads the same files and names the line.

# %% 3.12 Vectors: a GloVe file is a line a word, the word and its numbers
# The page's "glove.6B.50d" would download 862 MB. These numbers are random: the format is what is shown.
words = sorted({word for example in train for word in example.Text if word.strip()})
glove = args.out / "glove.sample.50d.txt"
numbers = torch.randn(len(words), 50)
without_vector = words.pop()
with glove.open("w", encoding="utf-8") as file:
    for word, row in zip(words, numbers):
        file.write(f"{word} {' '.join(f'{number:.5f}' for number in row)}\n")
# torchtext keeps them in a file beside, and reads that one ever after, even if the text file has changed.
(args.out / f"{glove.name}.pt").unlink(missing_ok=True)
# And it switches off the checking of certificates for the whole process, even where it downloads nothing.
checked = ssl._create_default_https_context = ssl.create_default_context
vectors = torchtext.vocab.Vectors(glove.name, cache=str(args.out))
unchecked = ssl._create_default_https_context is not checked
ssl._create_default_https_context = checked
print(f"{vectors.vectors.shape = }, certificates unchecked meanwhile: {unchecked}")

# %% 3.12 Vocabularies
TEXT.build_vocab(train, vectors=vectors)
LABEL.build_vocab(train, vectors=vectors)
print(f"{TEXT.vocab.itos[:8] = }\n{TEXT.vocab.vectors.shape = }")
# Nobody uses the labels' vectors; and a plain Field gives them an <unk>, so that classes start at 1.
labels_with_vectors = dict(LABEL.vocab.stoi)
LABEL.build_vocab(train)
same_labels = labels_with_vectors == dict(LABEL.vocab.stoi)
print(f"{LABEL.vocab.itos = }, {same_labels = }")
label_field = data.LabelField()
label_field.build_vocab(train.Label)
print(f"{label_field.vocab.itos = }")
# <unk> stands for words that are not in the vocabulary; one of the vocabulary that has no vector starts with zeros.
print(f"{without_vector!r}: {TEXT.vocab.vectors[TEXT.vocab.stoi[without_vector]].abs().max().item()}")
# What the vectors are for: they start an embedding, (words, numbers).
embedding = nn.Embedding.from_pretrained(TEXT.vocab.vectors, freeze=False, padding_idx=TEXT.vocab.stoi["<pad>"])

# %% Table: the embeddings that torchtext fetches by name
embeddings = {"Character n-gram": "charngram", "FastText": "fasttext", "GloVe vectors": "glove"}
for embedding_name, prefix in embeddings.items():
    embeddings[embedding_name] = [name for name in torchtext.vocab.pretrained_aliases if name.startswith(prefix)]
    print(
        textwrap.fill(f"{embedding_name:<18}{', '.join(embeddings[embedding_name])}", 100, subsequent_indent=18 * " ")
    )

# %% 3.12 Batches
# The first iterator shuffles, the others sort: by sort_key, and within a batch the longest first. device=-1 was the CPU
# and 0, says the text, the first GPU; today every number means the CPU, with a warning, and torch.device is meant.
train_iter, val_iter, test_iter = data.Iterator.splits(
    (train, val, test), sort_key=lambda x: len(x.Text), batch_sizes=(32, 99, 99), device=-1
)
print(next(iter(test_iter)))
by_number = next(iter(data.Iterator(test, 99, device=0))).Text.device
print(f"device=0 puts a batch on: {by_number}")
train_iter, val_iter, test_iter = data.Iterator.splits(
    (train, val, test), sort_key=lambda x: len(x.Text), batch_sizes=(32, 99, 99), device=device
)
batch = next(iter(test_iter))
padding = TEXT.vocab.stoi["<pad>"]
first = [TEXT.vocab.itos[index] for index in batch.Text[:, -1]]
print(f"its shortest question: {' '.join(first)}")

# %% BucketIterator, and the padding that it saves


def padded_share(iterator):
    """The share of `<pad>` in all the batches of an epoch."""
    epoch = torch.cat([batch.Text.flatten() for batch in iterator])
    return (epoch == padding).float().mean().item()


random.seed(0)
like_page = data.BucketIterator(train, 32, sort_key=lambda x: len(x.Text), device=device)
random.seed(0)
bucket_iter = data.BucketIterator(train, 32, sort_key=lambda x: len(x.Text), sort_within_batch=True, device=device)
padded = {
    "Iterator": padded_share(train_iter),
    "BucketIterator": padded_share(like_page),
    "BucketIterator, sort_within_batch=True": padded_share(bucket_iter),
}
# In 0.6.0 the pools are sorted only if the batches are: as it is called by default, it saves nothing.
for name, share in padded.items():
    print(f"{name:<40}{share:.1%} of the batches is padding")

# %% BPTTIterator: one long text in streams, and the target is the text one token on
story = args.out / "story.txt"
story.write_text(
    "The lamp keeper climbed the stairs every evening and lit the lamp .\n"
    "The ships saw the light and kept away from the rocks .\n"
    "One evening the keeper was ill , and the cat climbed the stairs .\n"
    "A cat can not light a lamp , but its eyes shone , and the ships kept away .\n",
    encoding="utf-8",
)
STORY = data.Field(lower=True)
language = torchtext.datasets.LanguageModelingDataset(str(story), STORY)
STORY.build_vocab(language)
bptt_iter = data.BPTTIterator(language, batch_size=4, bptt_len=6, device=device)
for bptt_batch in bptt_iter:
    stream = [
        " ".join(STORY.vocab.itos[index] for index in side[:, 0]) for side in (bptt_batch.text, bptt_batch.target)
    ]
    print(f"{tuple(bptt_batch.text.shape)} first stream: {stream[0]!r} -> {stream[1]!r}")

# %% 3.13 A ready-made data set: SST, sentences as trees with a sentiment at each node
# The page gives SST the name of a folder; it takes one file. splits is a class method, and would download what is not
# in root/sst. The trees are read with NLTK.
try:
    torchtext.datasets.SST("torchtextdata", data.Field(), data.Field())
except FileNotFoundError as error:
    page_sst = str(error)
    print(f"FileNotFoundError: {page_sst}")
trees = args.out / "sst" / "trees"
trees.mkdir(parents=True, exist_ok=True)
lines = {
    "train.txt": [
        "(4 (2 A) (4 (4 wonderful) (2 film)))",
        "(1 (2 (2 The) (2 plot)) (1 (1 (2 is) (0 dull)) (2 .)))",
        "(3 (2 (2 The) (2 songs)) (3 (3 (2 are) (3 (2 rather) (3 good))) (2 .)))",
    ],
    "dev.txt": ["(2 (2 It) (2 (2 (2 lasts) (2 (2 two) (2 hours))) (2 .)))"],
    "test.txt": ["(0 (2 Nobody) (0 (0 (2 should) (0 (2 see) (1 (2 this) (0 mess)))) (2 .)))"],
}
for name, sentences in lines.items():
    (trees / name).write_text("\n".join(sentences) + "\n", encoding="utf-8")
TextData = data.Field()
LabelData = data.LabelField()
sst_train, sst_val, sst_test = torchtext.datasets.SST.splits(
    TextData, LabelData, root=str(args.out), fine_grained=True, train_subtrees=True
)
Tree.fromstring(lines["train.txt"][0]).pretty_print()
for example in sst_train[:5]:
    print(f"{' '.join(example.text):<20}{example.label}")
print(f"{len(sst_train)} phrases in {len(lines['train.txt'])} trees; {sst_train[0]}")

# %% TREC through torchtext's own class
# It reads the label file as UTF-8, with an exception for the one letter of TREC that is none: others stop it.
questions = sample(make_questions)
try:
    torchtext.datasets.TREC(str(questions / TRAIN_FILE), TextData, LabelData)
except UnicodeDecodeError as error:
    not_utf8 = str(error)
    print(f"UnicodeDecodeError: {not_utf8}")
(args.out / "trec").mkdir(exist_ok=True)
for name in (TRAIN_FILE, TEST_FILE):
    text = (questions / name).read_text(encoding="iso-8859-1")
    (args.out / "trec" / name).write_text(text, encoding="utf-8")
trec_train, trec_test = torchtext.datasets.TREC.splits(TextData, data.LabelField(), root=str(args.out))
ours = [(question.text.split(), question.label) for question in read_label_file(questions / TEST_FILE)]
same_trec = ours == [(example.text, example.label) for example in trec_test]
print(f"{len(trec_train) = }, {len(trec_test) = }, {same_trec = }")

# %% Table: the data sets and their tasks, from the installed library
tasks = {
    "babi": "question answering",
    "sst": "sentiment analysis",
    "imdb": "sentiment analysis",
    "trec": "question classification",
    "nli": "entailment",
    "language_modeling": "language modelling",
    "translation": "machine translation",
    "sequence_tagging": "sequence tagging",
    "text_classification": "text classification",
    "unsupervised_learning": "unsupervised learning",
}
datasets = {
    name: tasks[getattr(torchtext.datasets, name).__module__.rpartition(".")[2]]
    for name in torchtext.datasets.__all__
    if not name.endswith("Dataset")  # those that read a file of the reader's own
}
not_on_the_page = {name for name, task in datasets.items() if task == "text classification"} | {"XNLI", "EnWik9"}
for name, task in datasets.items():
    print(f"{name:<22}{task:<24}{'not on the page' if name in not_on_the_page else ''}")

# %% The same without torchtext: plain_text_pipeline.py gives equal batches
sentences = [[token.lower() for token in plain.tokenizer(question.text)] for question in splits["train"]]
vocabulary = plain.Vocabulary.of(sentences)
labels = plain.Vocabulary.of([question.label] for question in splits["train"])
# The page's LABEL has an <unk> and, not being sequential, no <pad>: its indices are one lower.
examples = [
    (vocabulary(sentence), labels.index[question.label] - 1) for sentence, question in zip(sentences, splits["train"])
]
lengths = [len(sentence) for sentence in sentences]
equal_vocabularies = vocabulary.tokens == TEXT.vocab.itos
print(f"{equal_vocabularies = }")
random.seed(0)
bucket_iter = data.BucketIterator(train, 32, sort_key=lambda x: len(x.Text), sort_within_batch=True, device=device)
plain_iter = torch.utils.data.DataLoader(
    examples, batch_sampler=plain.bucketed_batches(lengths, 32, random.Random(0)), collate_fn=plain.collate
)
equal = [
    torch.equal(theirs.Text.cpu(), text) and torch.equal(theirs.Label.cpu(), label)
    for theirs, (text, label) in zip(bucket_iter, plain_iter, strict=True)
]
print(f"{sum(equal)} of {len(equal)} batches equal")
