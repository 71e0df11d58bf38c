"""Parts of speech and named entities of the same words, on one bidirectional LSTM.

    python examples/05_pos_and_ner.py                                    # made-up sentences
    python examples/05_pos_and_ner.py --data-dir FOLDER --seeds 3        # ewt_pos_ner.tar.xz

The last network ends parts of speech at the first of two layers, since entities build on them.
Nothing is pre-trained.
"""

from helpers import comparison, scores, small_data, words

from keras_mtl import architectures, data, datasets

LENGTH, LONGEST, WORDS = 64, 200, 8000  # training sentences are cut, others are not


def read(split, tasks, place):
    """Reads batches of sentences as strings; labels are padded."""
    sentences = datasets.ewt_pos_ner(split, **place)
    return data.align_tokens(sentences, tasks, length=LONGEST).batch(1024)


def shared(tasks):
    """Builds one bidirectional LSTM under all heads."""
    features = words.word_features(max_tokens=WORDS)
    body = words.bidirectional(100)
    return architectures.hard_sharing(features, tasks, shared=body, tower=())


def hierarchical(tasks):
    """Builds two layers: the first for both tasks, the second for entities."""
    features = words.word_features(max_tokens=WORDS)
    body = [words.bidirectional(100), words.bidirectional(100)]
    levels = {"pos": 0, "ner": 1}
    return architectures.hierarchical(
        features, tasks, body=body, levels=levels, tower=(), shortcut=True
    )


def main(options):
    tasks = datasets.ewt_pos_ner_tasks()
    with comparison.files(options, small_data.write_treebank) as place:
        batches = read("train", tasks, place)
        encode = words.word_encoder(batches, length=LONGEST, max_tokens=WORDS)
        sets = {
            split: read(split, tasks, place).map(lambda text, y, w: (encode(text), y, w))
            for split in ("train", options.split)
        }

        def cut(*parts):
            return tuple({name: x[:, :LENGTH] for name, x in part.items()} for part in parts)

        train = comparison.shuffled(sets["train"].map(cut), options).map(words.trim)
        x, y, w = comparison.arrays(sets[options.split])
        labels = datasets.EwtPosNer(data_dir=place["data_dir"]).info.features["labels"]

        def run(chosen, build=shared):
            model = comparison.fit(build(chosen), chosen, train, options)
            predicted = model.predict(x, batch_size=128, verbose=0)
            figures = {}
            if "pos" in predicted:
                figures["POS accuracy"] = scores.accuracy(y["pos"], predicted["pos"], w["pos"])
            if "ner" in predicted:
                arguments = (y["ner"], predicted["ner"], w["ner"])
                figures["entity F1"] = scores.span_f1(labels["ner"].feature.names, *arguments)
            return figures

        variants = {
            "one for each task": lambda: run(tasks[:1]) | run(tasks[1:]),
            "hard sharing": lambda: run(tasks),
            "hierarchical": lambda: run(tasks, hierarchical),
        }
        return comparison.table(variants, options)


if __name__ == "__main__":
    parser = comparison.parser(__doc__, epochs=12, learning_rate=2e-3)
    parser.add_argument("--split", default="test", choices=["validation", "test"])
    main(comparison.parse(parser))
