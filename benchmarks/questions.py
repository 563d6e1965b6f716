"""Messages of the benchmarks: short and everyday, English and Chinese in turn, all different."""

from core.messages import Locale

LOCALE: Locale = "en"
"""Locale of the person. It is the language of a prompt only if that of the message is unclear."""

WARM_UP = (
    "Good morning! What can you help me with today?",
    "早上好！今天你能帮我做些什么？",
)
MEASURED = (
    "What should I cook tonight with two eggs, rice and some spinach?",
    "我的快递已经晚了三天，客服一直不回复，真让人生气。",
    "I finally passed my driving test this morning, on the third try!",
    "请问北京到上海坐高铁大概需要多长时间？",
    "My laptop crashed again and I lost the whole report, I am so tired of this.",
    "今天收到了大学的录取通知书，全家人都高兴坏了！",
    "How do I keep basil alive on a kitchen window in winter?",
    "周末想带孩子去公园，你有什么建议吗？",
    "The parcel arrived yesterday and the box was open and half empty.",
    "这本书我看了两遍，结尾写得实在太好了。",
)
WORDS = [
    "apple",
    "bread",
    "city",
    "day",
    "earth",
    "fish",
    "garden",
    "house",
    "island",
    "juice",
    "kitchen",
    "letter",
    "money",
    "night",
    "ocean",
    "paper",
    "question",
    "river",
    "school",
    "table",
    "uncle",
    "voice",
    "water",
    "year",
]
"""Each is one token of Qwen2.5 after a space."""
