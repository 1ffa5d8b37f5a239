"""Tiny networks in the layouts of the hub, of random weights, as the libraries save them."""

import json

import numpy as np

from equipoise.encoders.libraries import beside_torchvision

SIDE = 32
PATCH = 8
WORDS = ("no", "edema", "wet", "lungs", "clear", "effusion", "heart", "large")
IMAGES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": SIDE,
    "patch_size": PATCH,
}
DINO = {k: v for k, v in IMAGES.items() if k != "intermediate_size"} | {"mlp_ratio": 2}
TEXT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 24,
}
FIELDS = {
    "name": "tiny",
    "layout": "NCHW",
    "height": SIDE,
    "width": SIDE,
    "channels": 3,
    "value_range": "zero_one",
    "mean": [0.48, 0.45, 0.40],
    "std": [0.26, 0.27, 0.28],
    "dimension": 16,
    "licence": "Apache-2.0",
    "pooling": "cls",
}
PREPROCESSOR = {
    "do_center_crop": False,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.48, 0.45, 0.40],
    "image_std": [0.26, 0.27, 0.28],
    "resample": 2,
    "rescale_factor": 1 / 255,
    "size": {"height": SIDE, "width": SIDE},
}
PIXELS = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)


def libraries():
    """Return torch and transformers, the second beside whichever torchvision there is."""
    found = beside_torchvision("transformers", extra="hub", family="transformers")
    found.utils.logging.disable_progress_bar()
    found.utils.logging.set_verbosity_error()
    return beside_torchvision("torch", extra="hub", family="transformers"), found


def networks():
    """Return architecture → what makes one of random weights."""
    _, t = libraries()
    clip = {"vision_config": IMAGES, "text_config": {**TEXT, **_ends(), "vocab_size": 80}}
    siglip = {"vision_config": IMAGES, "text_config": {**TEXT, "vocab_size": 56}}
    registers = {**DINO, "num_register_tokens": 3}
    return {
        "CLIPModel": lambda: t.CLIPModel(t.CLIPConfig(**clip, projection_dim=12)),
        "CLIPVisionModel": lambda: t.CLIPVisionModel(t.CLIPVisionConfig(**IMAGES)),
        "CLIPVisionModelWithProjection": lambda: t.CLIPVisionModelWithProjection(
            t.CLIPVisionConfig(**IMAGES, projection_dim=12)
        ),
        "DINOv3ViTModel": lambda: t.DINOv3ViTModel(
            t.DINOv3ViTConfig(**IMAGES, num_register_tokens=3)
        ),
        "Dinov2Model": lambda: t.Dinov2Model(t.Dinov2Config(**DINO)),
        "Dinov2WithRegistersModel": lambda: t.Dinov2WithRegistersModel(
            t.Dinov2WithRegistersConfig(**registers)
        ),
        "SiglipModel": lambda: t.SiglipModel(t.SiglipConfig(**siglip)),
        "SiglipVisionModel": lambda: t.SiglipVisionModel(t.SiglipVisionConfig(**IMAGES)),
        "ViTModel": lambda: t.ViTModel(t.ViTConfig(**IMAGES)),
    }


def _ends():
    vocabulary = clip_vocabulary()
    ends = {"bos": "<|startoftext|>", "eos": "<|endoftext|>", "pad": "<|endoftext|>"}
    return {f"{name}_token_id": vocabulary[word] for name, word in ends.items()}


def saved(folder, name, *, preprocessor=PREPROCESSOR, seed=0):
    """Save a network as the library does, and return it with weights that are all at random."""
    torch, _ = libraries()
    torch.manual_seed(seed)
    module = networks()[name]().eval()
    with torch.no_grad():
        for key, one in module.named_parameters():
            if "logit" not in key:  # zeros and ones of a new network would hide what is left out
                one.add_(0.2 * torch.randn_like(one))
    folder.mkdir(parents=True, exist_ok=True)
    module.save_pretrained(folder)
    if preprocessor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return module


def prepared(pixels, card=FIELDS):
    """Return pixels as the card says, ``(b, 3, h, w)``, worked out here."""
    torch, _ = libraries()
    mean, std = np.array(card["mean"]), np.array(card["std"])
    values = (pixels / 255.0 - mean) / std
    return torch.tensor(values.transpose(0, 3, 1, 2).astype(np.float32))


def clip_vocabulary():
    """Return the vocabulary of a BPE tokeniser that knows letters and a few whole words."""
    letters = [chr(n) for n in range(ord("a"), ord("z") + 1)]
    joined = [merge.replace(" ", "") for merge in clip_merges()]
    words = [*letters, *(f"{one}</w>" for one in letters), *joined]
    return {w: i for i, w in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}


def clip_merges():
    """Return merges that make *no*, *we* and *wet* one token each."""
    return ["n o</w>", "w e", "we t</w>", "l u", "lu n", "e d"]


def save_clip_tokeniser(folder):
    """Write a tokeniser in the format of CLIP."""
    (folder / "vocab.json").write_text(json.dumps(clip_vocabulary()))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *clip_merges()]) + "\n")
    said = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 24}
    said |= {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    said |= {"unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))


def save_word_tokeniser(folder):
    """Write a tokeniser of whole words, as a ``tokenizer.json``, with an end as SigLIP's has."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["<pad>", "</s>", "<unk>", *WORDS]
    known = {word: i for i, word in enumerate(words)}
    made = Tokenizer(models.WordLevel(known, unk_token=words[2]))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", known["</s>"])]
    )
    made.save(str(folder / "tokenizer.json"))
    said = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 24}
    said |= {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))


def save_bert_tokeniser(folder):
    """Write a tokeniser in the format of BERT."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))


def save_siglip_tokeniser(folder):
    """Learn a tokeniser of SentencePiece and write it in the format of SigLIP."""
    import sentencepiece

    lines = [" ".join(WORDS[i:] + WORDS[:i]) for i in range(len(WORDS))] * 20
    (folder / "lines.txt").write_text("\n".join(lines))
    sentencepiece.SentencePieceTrainer.Train(
        input=str(folder / "lines.txt"),
        model_prefix=str(folder / "spiece"),
        vocab_size=50,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=3,
    )
    said = {"tokenizer_class": "SiglipTokenizer", "model_max_length": 24, "do_lower_case": True}
    said |= {"pad_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**said, "model_input_names": ["input_ids"]})
    )
