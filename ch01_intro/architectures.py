"""Figures 1.9 to 1.15: seven architectures as live networks.

    python ch01_intro/architectures.py
    python ch01_intro/architectures.py --device cuda

The page draws boxes; here each network is printed as its tree of modules, and fed once, so that the shapes along the
way can be seen. Figures 1.16 (GAN) and 1.17 (reinforcement learning) show who plays with whom, no network of their own.
"""

import torch
from torch import nn

from common.tours import tour

args = tour(__doc__)

# %% Figure 1.9: a simple neural network
# Fully connected: input layer, one hidden layer, output layer.
simple = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2)).to(args.device)
simple_output = simple(torch.rand(1, 3, device=args.device))
print(f"{simple = }\n{simple_output.shape = }\n")

# %% Figure 1.10: a deep neural network, the same with several hidden layers
deep = nn.Sequential(
    nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 2)
).to(args.device)
deep_output = deep(torch.rand(1, 3, device=args.device))
print(f"{deep = }\n{deep_output.shape = }\n")


# %% Figure 1.11: a sequence-to-sequence network
# All that the decoder knows of the sentence is the encoder's one vector.
class Seq2Seq(nn.Module):
    """Words of shape (batch, word) in one language to scores of words, (batch, word, vocabulary), in another."""

    def __init__(self, words_in, words_out, hidden_size):
        super().__init__()
        self.embed_in = nn.Embedding(words_in, hidden_size)
        self.encoder = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.embed_out = nn.Embedding(words_out, hidden_size)
        self.decoder = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.score = nn.Linear(hidden_size, words_out)

    def forward(self, sentence, translation_so_far):
        _, state = self.encoder(self.embed_in(sentence))
        output, _ = self.decoder(self.embed_out(translation_so_far), state)
        return self.score(output)


seq2seq = Seq2Seq(words_in=20, words_out=30, hidden_size=8).to(args.device)
sentence = torch.randint(20, (1, 6), device=args.device)
translation_so_far = torch.randint(30, (1, 4), device=args.device)
seq2seq_output = seq2seq(sentence, translation_so_far)
print(f"{seq2seq = }\n{seq2seq_output.shape = }\n")

# %% Figure 1.12: an autoencoder
# The text's 100 x 100 image is squeezed through 500 numbers; the target is the input.
autoencoder = nn.Sequential(nn.Linear(10_000, 500), nn.Sigmoid(), nn.Linear(500, 10_000)).to(args.device)
image = torch.rand(1, 100 * 100, device=args.device)
code = autoencoder[:2](image)
reconstruction = autoencoder(image)
reconstruction_loss = nn.functional.mse_loss(reconstruction, image)
print(f"{autoencoder = }\n{code.shape = }, {reconstruction.shape = }\n{reconstruction_loss.item() = :.3f}\n")

# %% Figure 1.13: a recurrent network, unrolled
# One cell, the same at each word, hands its hidden state on.
embedding = nn.Embedding(20, 5).to(args.device)
rnn = nn.RNN(5, 4, batch_first=True).to(args.device)
word_vectors = embedding(sentence)
rnn_output, _ = rnn(word_vectors)
print(f"{embedding = }\n{rnn = }\n{word_vectors.shape = }, {rnn_output.shape = }")
hidden = torch.zeros(1, 4, device=args.device)
unrolled = []
for word_vector in word_vectors.unbind(dim=1):
    hidden = torch.tanh(
        word_vector @ rnn.weight_ih_l0.T + rnn.bias_ih_l0 + hidden @ rnn.weight_hh_l0.T + rnn.bias_hh_l0
    )
    unrolled.append(hidden)
unrolled = torch.stack(unrolled, dim=1)
print(f"{torch.allclose(unrolled, rnn_output, atol=1e-6) = }\n")


# %% Figure 1.14: a recursive network
# The vectors of two phrases make the vector of the phrase that holds both.
class Recursive(nn.Module):
    """The vector, (size,), of a parse tree: a word, or a pair of parse trees."""

    def __init__(self, vocabulary, size):
        super().__init__()
        self.number = {word: number for number, word in enumerate(vocabulary)}
        self.embedding = nn.Embedding(len(vocabulary), size)
        self.merge = nn.Linear(2 * size, size)

    def forward(self, tree):
        if isinstance(tree, str):
            return self.embedding.weight[self.number[tree]]
        left, right = tree
        vector = torch.tanh(self.merge(torch.cat((self(left), self(right)))))
        print(f"({left} + {right}) -> vector of {len(vector)}")
        return vector


recursive = Recursive(["the", "old", "man", "sleeps"], size=5).to(args.device)
print(f"{recursive = }")
tree = (("the", ("old", "man")), "sleeps")
tree_vector = recursive(tree)
print()

# %% Figure 1.15: a typical CNN
# Convolution and pooling shrink the image to feature maps, then come fully connected layers.
cnn = nn.Sequential(
    nn.Conv2d(3, 6, kernel_size=5),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(6, 16, kernel_size=5),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(16 * 5 * 5, 120),
    nn.ReLU(),
    nn.Linear(120, 10),
).to(args.device)
print(f"{cnn = }")
feature_maps = torch.rand(1, 3, 32, 32, device=args.device)
cnn_shapes = [tuple(feature_maps.shape)]
for layer in cnn:
    feature_maps = layer(feature_maps)
    cnn_shapes.append(tuple(feature_maps.shape))
    print(f"{type(layer).__name__:9} -> {cnn_shapes[-1]}")
