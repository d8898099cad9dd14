"""Net contents of packages as customers write them into names and sizes."""

import pytest

from lib.fields.content import parse_content, without_content

Expected = tuple[float | None, float | None, int]  # grams, millilitres, count


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1kg", (1000, None, 1)),
        ("250GR", (250, None, 1)),
        ("75cl", (None, 750, 1)),
        ("1,5 l", (None, 1500, 1)),
        ("0,75 l", (None, 750, 1)),
        ("500 g e", (500, None, 1)),
        ("A 500-g bag", (500, None, 1)),
        ("12 oz", (340.194277, None, 1)),
        ("16 fl oz", (None, 473.176473, 1)),
        ("16 FL. OZ.", (None, 473.176473, 1)),
        ("Karo, 1GAL", (None, 3785.411784, 1)),
        ("100% juice 1l", (None, 1000, 1)),
        ("Cottage 0.2 % 450 g", (450, None, 1)),
        ("7up 33cl", (None, 330, 1)),
        ("Rioja 2019 750 ml", (None, 750, 1)),
    ],
)
def test_a_size_is_grams_or_millilitres(text: str, expected: Expected) -> None:
    assert amounts(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6x330ml", (None, 1980, 6)),
        ("6 x 33 cl", (None, 1980, 6)),
        ("4x6x330ml", (None, 7920, 24)),
        ("33 cl x 24", (None, 7920, 24)),
        ("24/33cl", (None, 7920, 24)),
        ("6/10 oz", (1700.971388, None, 6)),
        ("4 - 2.29 Oz", (259.681632, None, 4)),
        ("2 stk à 150g", (300, None, 2)),
        ("10 sachets of 5 g", (50, None, 10)),
        ("Kinder 4 pieces, 125 g each", (500, None, 4)),
        ("3er-Pack 3x200g", (600, None, 3)),
        ("12-pack 355 ml", (None, 4260, 12)),  # a volume is that of each
        ("Eggs 10-pack 600 g", (600, None, 10)),  # a mass is the package's
        ("2+1 500g", (1500, None, 3)),  # three of what the shelf has singly
        ("2+1 1 l", (None, 3000, 3)),
    ],
)
def test_a_multi_pack_is_all_that_is_in_it(text: str, expected: Expected) -> None:
    assert amounts(text) == expected


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("2+1", 3),
        ("30-pack", 30),
        ("5 pcs", 5),
        ("10 rolls", 10),
        ("6er", 6),
        ("Vitamin B12 60 tabs", 60),
        ("pack of 6", 6),
        ("Eggs Class M, Case of 180", 180),
        ("Lot de 6", 6),
    ],
)
def test_pieces_alone_have_no_mass(text: str, count: int) -> None:
    assert amounts(text) == (None, None, count)


@pytest.mark.parametrize(
    ("text", "grams"),
    [
        ("1/2 lb", 226.796185),
        ("1 1/2 lb", 680.388555),
        ("1-1/2 lb", 680.388555),
        ("½ kg", 500),
        ("1½ kg", 1500),
        ("1.000 g", 1000),
        ("1,000 g", 1000),
        ("1.000 kg", 1000),
        ("1,250 kg", 1250),
        ("0.500 g", 0.5),
        ("1 000 g", 1000),
        ("1 500 g", 1500),
        ("1'000 g", 1000),
        ("No. 5 500 g", 500),
        ("Omega-3 500 g", 500),
        ("Type 405 1 kg", 1000),
        ("40+10 g", 50),
    ],
)
def test_numbers_are_read_as_their_unit_makes_likely(text: str, grams: float) -> None:
    assert amounts(text) == (grams, None, 1)


@pytest.mark.parametrize(("decimal", "grams"), [("", 1000), (",", 1000), (".", 1)])
def test_a_known_decimal_mark_decides(decimal: str, grams: float) -> None:
    found = parse_content("1.000 g", decimal=decimal)
    assert found is not None
    assert found.grams == grams


@pytest.mark.parametrize(
    "text", ["ca 500g", "ca. 500 g", "ca.500g", "approx 500 g", "~500g", "noin 500 g", "etwa 500 g", "env. 500 g"]
)
def test_about_is_kept(text: str) -> None:
    found = parse_content(f"Ost {text}")
    assert found is not None
    assert (found.grams, found.approximate, found.text) == (500, True, text)


def test_a_range_is_about_its_middle() -> None:
    found = parse_content("Lammstek 2-3 kg")
    assert found is not None
    assert (found.grams, found.approximate, found.text) == (2500, True, "2-3 kg")


@pytest.mark.parametrize(
    ("text", "grams", "kind", "taken"),
    [
        ("Tuna 500g (300g drained)", 500, "net", "500g"),
        ("Mais Abtropfgewicht 300 g", 300, "drained", "Abtropfgewicht 300 g"),
        ("Füllmenge 530g Abtropfgewicht 300 g", 530, "net", "Füllmenge 530g"),
        ("Pois, poids net égoutté 240 g", 240, "drained", "poids net égoutté 240 g"),
        ("net 500 g", 500, "net", "net 500 g"),
        ("500 g netto", 500, "net", "500 g netto"),
        ("gross 1 kg", 1000, "gross", "gross 1 kg"),
        ("brutto 1 kg netto 900 g", 900, "net", "netto 900 g"),
    ],
)
def test_net_comes_before_drained_before_gross(text: str, grams: float, kind: str, taken: str) -> None:
    found = parse_content(text)
    assert found is not None
    assert (found.grams, found.kind, found.text) == (grams, kind, taken)
    assert text[slice(*found.span)] == taken


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500 g + 100 g", (600, None, 1)),  # a sum
        ("2 x 100 g (200 g)", (200, None, 2)),  # the multi-pack
        ("Sazon, 40 g, 1.41 oz", (40, None, 1)),  # metric
        ("Mug 300 ml with cocoa 200 g", (200, None, 1)),  # the last
    ],
)
def test_of_several_sizes_one_is_chosen(text: str, expected: Expected) -> None:
    assert amounts(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Bananas",
        "30 cm x 50 m",
        "5.0 %",
        "E471",
        "18 V",
        "2019",
        "2000 mg omega",
        "0 g sugar",
        "5G phone",
        "20g protein",
        "12g/100ml",
        "kcal per 100 g",
        "€2,50/100 g",
        "80 g/m²",
        "Shrimps 41-50 ct",
        "1st edition",
        "iPhone 6 case",
        "Chanel 2 L'Oréal",
        "1/0 lb",
    ],
)
def test_what_only_looks_like_a_content_is_none(text: str) -> None:
    assert parse_content(text) is None


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Carrots 1 kg", "Carrots"),
        ("Chocolate Milk 3 x 200 ml", "Chocolate Milk"),
        ("Gruyère Block ca. 2.5 kg", "Gruyère Block"),
        ("Tuna (185 g), in oil", "Tuna, in oil"),
        ("Breakfast Ham, 10 count, 6.4 oz., CN", "Breakfast Ham, CN"),
        ("Cottage 0.2 % 450 g", "Cottage 0.2 %"),
        ("No. 5 500 g", "No. 5"),
        ("Bananas", "Bananas"),
        ("6x330ml", "6x330ml"),  # nothing else is there
        ("2+1", ""),
    ],
)
def test_a_name_without_its_sizes(text: str, rest: str) -> None:
    assert without_content(text) == rest


def amounts(text: str) -> Expected | None:
    found = parse_content(text)
    return None if found is None else (found.grams, found.millilitres, found.count)
