"""A BERT under two heads, with the joint loss alpha x sentiment + (1 - alpha) x topic.

    python examples/08_bert_two_heads.py                                   # small, random weights
    python examples/08_bert_two_heads.py --preset bert_tiny_en_uncased --data-dir FOLDER

It needs keras_hub (`pip install keras_mtl[hub]`). A preset's weights come from the network at the
first use. FOLDER is that of 03_sentiment_and_topic.py. Alpha is the weight of a task, and one row
of the table is printed for each.
"""

import keras
from helpers import comparison, two_texts

from keras_mtl import Task, architectures, data

LENGTH = 128


def make_backbone(preset):
    """Builds a body from token numbers to one vector per text, by name or small and random."""
    import keras_hub

    if preset:
        backbone = keras_hub.models.BertBackbone.from_preset(preset)
    else:
        backbone = keras_hub.models.BertBackbone(
            vocabulary_size=two_texts.WORDS,
            num_layers=2,
            num_heads=2,
            hidden_dim=64,
            intermediate_dim=128,
            max_sequence_length=LENGTH,
        )
    return keras.Model(backbone.input, backbone.output["pooled_output"], name="shared_bert")


def make_encoder(preset):
    """Returns a function from training texts to the encoder of the backbone's inputs."""
    if preset:
        import keras_hub

        packer = keras_hub.models.BertTextClassifierPreprocessor
        return lambda texts: packer.from_preset(preset, sequence_length=LENGTH)

    def of_words(texts):
        numbers = data.text_encoder(texts, length=LENGTH, max_tokens=two_texts.WORDS)

        def encode(text):
            ids = keras.ops.cast(numbers(text), "int32")
            mask = keras.ops.cast(ids != 0, "int32")
            return {"token_ids": ids, "padding_mask": mask, "segment_ids": 0 * ids}

        return encode

    return of_words


def main(options):
    train, test = two_texts.load(options, make_encoder(options.preset))

    def run(alpha):
        tasks = [
            Task.binary("sentiment", weight=alpha, metrics=()),
            Task.multiclass("topic", 4, weight=1 - alpha, metrics=()),
        ]
        mixed = data.mixture(
            train, tasks, sampling=data.Temperature(2), until="first", batch_size=options.batch_size
        )
        backbone = make_backbone(options.preset)
        network = architectures.hard_sharing(backbone.output, tasks, shared=(), tower=())
        model = comparison.fit(network, tasks, mixed, options)
        return two_texts.accuracies(model, test, tasks)

    variants = {f"alpha {alpha:g}": lambda alpha=alpha: run(alpha) for alpha in options.alpha}
    return comparison.table(variants, options)


if __name__ == "__main__":
    parser = comparison.parser(__doc__, epochs=2, batch_size=32, learning_rate=3e-4)
    parser.add_argument("--preset", help="name of a BERT of keras_hub")
    parser.add_argument("--alpha", type=float, nargs="+", default=[0.2, 0.5, 0.8])
    main(comparison.parse(parser))
