"""Han: common Chinese characters in the order of their sounds, and groups that look alike."""

from __future__ import annotations

from functools import cache

#: Rows of GB 2312 that hold its level 1: the 3,755 common characters, by pinyin.
_FIRST_ROW, _LAST_ROW, _CELLS = 0xB0, 0xD7, (0xA1, 0xFE)

#: Places before and behind, in the order of sounds, from which a slip of the pinyin keyboard is taken.
_REACH = 2

#: Characters, kana among them, that a reader of print takes for one another. Chosen by hand.
LOOK_ALIKES = (
    "己已巳 未末 土士 日曰 人入八 大太犬 天夭 干千于 王玉主 木本 田由甲申 目自 白百 刀力刁 儿几 "
    "贝见 午牛 戊戌戍 侯候 幻幼 今令 免兔 鸟乌 名各 拔拨 盲育 治冶 准淮 住往佳 密蜜 晴睛 辨辩辫 "
    "斤斥 风凤 毋母 衣农 厂广 间问闻 司同 抱拖 困因囚 西酉 竟竞 处外 代伐 历厉 延廷 卯卵 析折拆 "
    "崇祟 陷馅 仓仑 汆氽 第笫 鱼渔 活话 请清情 很狠 买卖 休体 史吏 失矢 子孑 夂攵 末朱 东车 爪瓜 "
    "万方 丛从 乒乓 兵乒 晓哓 栗粟 爱受 徒徙 壁璧 梁粱 荼茶 撤撒 暧暖 沽沾 洒酒 冼洗 ソン シツ "
    "ロ口 カ力 ニ二 ー一 ハ八 タ夕 エ工 ト卜 チ千 ミ三 ヘへ リり ベべ ペぺ はほ ぬめ るろ われね "
    "きさ"
)


@cache
def common() -> str:
    """The 3,755 characters of GB 2312, level 1, in the order of pinyin.

    Source: GB/T 2312-1980, through Python's own codec.
    """
    first, last = _CELLS
    cells = (
        bytes((row, cell))
        for row in range(_FIRST_ROW, _LAST_ROW + 1)
        for cell in range(first, last + 1)
        if (row, cell) < (_LAST_ROW, 0xFA)  # the last five cells are empty
    )
    return b"".join(cells).decode("gb2312")


@cache
def sounding_alike() -> dict[str, str]:
    """To each common character those next to it in the order of sounds: nearly always of the same syllable."""
    order = common()
    return {
        sign: order[max(0, place - _REACH) : place] + order[place + 1 : place + 1 + _REACH]
        for place, sign in enumerate(order)
    }


@cache
def looking_alike() -> dict[str, str]:
    """To each character of a group the others of its groups."""
    found: dict[str, str] = {}
    for group in LOOK_ALIKES.split():
        for sign in group:
            others = found.get(sign, "") + group.replace(sign, "")
            found[sign] = "".join(dict.fromkeys(others))
    return found
