"""Names as people should read them, and as the categorizer reads them."""

import pytest

from lib.fields.names import clean_name, model_text, without_brand


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CrÃ¨me brÃ»lÃ©e", "Crème brûlée"),
        ("SmÃ¸rrebrÃ¸d", "Smørrebrød"),
        ("Campbellâ€™s", "Campbell’s"),
        ("Å\x81osoÅ\x9b", "Łosoś"),
        ("ÐšÐ¾Ñ„Ðµ", "Кофе"),
        ("MÃƒÂ¼ller", "Müller"),  # twice
        ("Ost 50Â g", "Ost 50 g"),  # a no-break space
        ("K\x8as", "KŠs"),  # Windows-1252 read as Latin-1
    ],
)
def test_mojibake_is_mended(text: str, name: str) -> None:
    assert clean_name(text) == name


@pytest.mark.parametrize(
    "name",
    [
        "Smørrebrød",
        "Crème brûlée",
        "œufs",
        "PÂTÉ DE CAMPAGNE",
        "MAÇÃ “G”",
        "L’Oréal",
        "Côte d’Or – 50 €",
        "ROSÉ®",
        "ＦＵＬＬ",
        "ﬁnes herbes",
        "Żubrówka ½ l",
        "日本茶",
        "Кофе",
        "M&C",
        "Fish &chips",
        "Bread&parade",
        "<3 Love <500 g>",
        "SHOUTING STAYS",
    ],
)
def test_good_text_stays(name: str) -> None:
    assert clean_name(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("M&amp;C", "M&C"),
        ("Bread &amp;amp; Butter", "Bread & Butter"),
        ("Milk&nbsp;1&nbsp;l", "Milk 1 l"),
        ("Woolpower&reg; &#8482;", "Woolpower® ™"),
        ("<b>Ost</b><br/>200 g", "Ost 200 g"),
        ("&lt;b&gt;Ost&lt;/b&gt;", "Ost"),
        ("  Ost\t\r\n\x00kaka\u00a0 ", "Ost kaka"),
        ("Ost\u200b\u00adkaka", "Ostkaka"),
        ("a\u0308pple", "äpple"),
        ("\ud800x", "x"),  # half of a surrogate pair cannot be stored
        ("<br>", ""),
    ],
)
def test_markup_and_blanks_are_resolved(text: str, name: str) -> None:
    assert clean_name(text) == name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Rooibos Vanilla 20 Bags", "Rooibos Vanilla"),
        ("Cola 6 x 330 ml", "Cola"),
        ("Cola, 12 OZ", "Cola"),
        ("286712-006 Hammer", "Hammer"),
        ("Art.-Nr. 123456 Hammer 2 kg", "Hammer"),
        ("Gouda (art 10020030)", "Gouda"),
        ("Rioja 2019", "Rioja 2019"),
        ("E471 Emulsifier", "E471 Emulsifier"),
        ("Epson T1295 multipack", "Epson T1295 multipack"),
        ("12345678", "12345678"),
        ("6x330ml", "6x330ml"),
    ],
)
def test_the_model_reads_no_sizes_and_codes(name: str, text: str) -> None:
    assert model_text(name) == text


@pytest.mark.parametrize(
    ("name", "brand", "text"),
    [
        ("Arla Köket Crème Fraîche", "ARLA KOKET", "Crème Fraîche"),
        ("Vanilla Ice Cream, Ben & Jerry's", "Ben&Jerrys", "Vanilla Ice Cream"),
        ("Milk chocolate Milka", "Milk", "chocolate Milka"),
        ("Milka Alpine", "Milk", "Milka Alpine"),  # only whole words
        ("Alpine Milka bar", "Milka", "Alpine Milka bar"),  # in the middle it stays
        ("Müller Milch Müller", "muller", "Milch Müller"),
        ("7up", "7up", "7up"),
        ("Milk", "", "Milk"),
        ("Milk", "&", "Milk"),
    ],
)
def test_a_brand_is_taken_off_at_either_end_never_all(name: str, brand: str, text: str) -> None:
    assert without_brand(name, brand=brand) == text


def test_a_size_is_not_what_is_left_of_a_brand() -> None:
    assert model_text("Coca-Cola 33 cl", brand="Coca Cola") == "Coca-Cola"
