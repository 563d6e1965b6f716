"""Recognises messages that consist of greetings, thanks and nods, for which nothing needs to be looked up."""

import re
from functools import cache

from core.knowledge.terms import folded
from core.language import HAN

LONGEST_TEXT = 200
"""Characters of a text that may be a pleasantry."""
TOKEN = re.compile(rf"[a-z0-9]+(?:'[a-z]+)?|{HAN.pattern}|[^\W_]")
ENGLISH = """
    hi, hi there, hello, hello there, hey, hey there, good morning, good afternoon, good evening, good night, good day,
    how are you, how are you doing, how are you today, nice to meet you, bye, bye bye, goodbye, see you, see you later,
    see you soon, have a nice day, have a good day, have a great day, have a nice evening, have a good evening,
    have a nice weekend, have a good weekend, you too, take care, welcome, you're welcome, no problem, no worries,
    thanks, many thanks, thanks a lot, thanks so much, thanks very much, thanks again, thanks for your help,
    thanks for the help, thank you, thank you so much, thank you very much, thank you again, thank you for your help,
    no thanks, no thank you, thx, ty, cheers, i appreciate it, appreciate it, much appreciated, very kind, very helpful,
    that helps, that helps a lot, that helped, that helped a lot, that was helpful, that was very helpful, that's all,
    that is all, that's great, that's good, that's nice, that's fine, that's perfect, ok, okay, k, alright, all right,
    good, very good, great, fine, perfect, nice, cool, awesome, wonderful, lovely, super, excellent, brilliant, amazing,
    sure, yes, yeah, yep, yes please, no, nope, please, sorry, got it, i got it, understood, i understand, i see,
    makes sense, never mind, nevermind, wow, oh, ah, hm, hmm, lol, haha, hahaha
"""
CHINESE = """
    你好, 您好, 嗨, 哈喽, 哈啰, 嘿, 早, 早安, 早上好, 上午好, 中午好, 下午好, 晚上好, 晚安, 大家好, 在吗, 再见, 拜拜,
    拜, 回头见, 回见, 谢谢, 谢谢你, 谢谢您, 谢谢了, 谢了, 谢, 多谢, 感谢, 感谢你, 感谢您, 非常感谢, 十分感谢,
    太感谢了, 辛苦了, 辛苦, 麻烦了, 麻烦你了, 麻烦您了, 谢谢你的帮助, 谢谢您的帮助, 感谢你的帮助, 感谢您的帮助,
    不用谢, 不客气, 没事, 没事了, 没关系, 没问题, 不用了, 不用, 不了, 好, 好的, 好吧, 好了, 好嘞, 好呀, 好啊, 好哒,
    好滴, 行, 行吧, 行了, 可以, 可以的, 嗯, 哦, 噢, 啊, 哈, 哇, 是, 是的, 对, 对的, 不是, 不, 知道了, 我知道了, 明白,
    明白了, 我明白了, 懂了, 了解, 了解了, 收到, 原来如此, 这样啊, 太好了, 太棒了, 很好, 真好, 真棒, 不错, 棒, 非常好,
    完美, 厉害, 抱歉, 对不起, 不好意思, 祝你愉快, 祝您愉快, 周末愉快, 很有帮助, 你最近好吗, 你好吗
"""


def is_pleasantry(text: str) -> bool:
    """Whether the text is nothing but pleasantries one after another, or has neither letters nor digits."""
    if len(text) > LONGEST_TEXT:
        return False
    tokens, phrases = _tokens(text), _phrases()
    longest = max(map(len, phrases))
    ends = {0}
    for begin in range(len(tokens)):
        if begin in ends:
            ends |= {end for end in range(begin + 1, begin + longest + 1) if tuple(tokens[begin:end]) in phrases}
    return len(tokens) in ends


def _tokens(text: str) -> list[str]:
    """English words, and Chinese characters one by one."""
    return TOKEN.findall(folded(text).replace("’", "'"))


@cache
def _phrases() -> frozenset[tuple[str, ...]]:
    """Not at the import, which would load the converter of Chinese characters for every bot."""
    return frozenset(tuple(_tokens(phrase)) for phrase in f"{ENGLISH},{CHINESE}".split(","))
