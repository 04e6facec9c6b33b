"""Values of the asker: checked when built, safe when rendered, words for visitors."""

from __future__ import annotations

import pytest

from kit.errors import UserError
from knowledge_base.articles import Article
from knowledge_base.templates import check, is_template, literal_tags, render

VALUES = {
    "account": {"name": "Acme"},
    "plan": {"name": "Pro"},
    "limits": {"runs": 50000, "seats": None},
    "usage": {"runs": 1234.5},
    "renewal": {"date": "2026-12-31"},
}


def article(body: str, template: bool | None = None) -> Article:
    return Article(id="a", title="A", body=body, path="a.md", line=4, template=template)


def test_values_are_shown_as_people_write_them() -> None:
    body = "{{ account.name }} {{ limits.runs }} {{ limits.seats }} {{ usage.runs }} {{ renewal.date }}"
    assert render(body, VALUES, "en") == "Acme 50,000 unlimited 1,234.5 31 December 2026"
    assert render(body, VALUES, "ja") == "Acme 50,000 無制限 1,234.5 2026年12月31日"


def test_a_visitor_reads_the_words_for_visitors() -> None:
    assert render("{% if account %}You{% else %}Anyone{% endif %}", None, "en") == "Anyone"


def test_an_unlimited_limit_can_be_compared() -> None:
    body = "{% if usage.runs > limits.seats %}over{% else %}fine{% endif %}"
    assert render(body, VALUES, "en") == "fine"


def test_a_missing_value_falls_back_to_the_words_for_visitors() -> None:
    body = "{% if account %}{{ limits.flows }}{% else %}Sign in.{% endif %}"
    assert render(body, VALUES, "en") == "Sign in."


def test_a_value_cannot_bring_markup_in() -> None:
    values = VALUES | {"account": {"name": "[x](javascript:1) <b>{{ 7*7 }}"}}
    assert render("{{ account.name }}", values, "en") == r"\[x\](javascript:1) \<b\>\{\{ 7\*7 \}\}"


def test_code_is_never_a_template() -> None:
    body = "{{ plan.name }} `{{ plan.name }}`\n\n```\n{{ nonsense }}\n```\n"
    made = article(body)
    assert is_template(made)
    check(article("{% if plan %}{{ plan.name }}{% endif %} `{{ x }}`\n\n```\n{{ nonsense }}\n```\n"))
    assert render(body, VALUES, "en") == "Pro `{{ plan.name }}`\n\n```\n{{ nonsense }}\n```\n"


def test_braces_of_other_tools_are_just_braces() -> None:
    made = article("Write {{ route('x') }} and {% include 'a' %}.")
    assert not is_template(made)
    assert len(literal_tags(made, made.body)) == 2
    assert not is_template(article("{{ plan.name }}", template=False))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("x\n{{ plan.nme }}", "line 5: 'plan' has no 'nme'"),
        ("{{ plan.name }} {{ secret }}", "line 4: unknown name 'secret'"),
        ("{% if account %}{{ plan.name }}", "line 4"),
        ("{{ plan.name }}", "a visitor has no such value"),
        ("{% for i in limits %}x{% endfor %}", "for is not allowed"),
        ("{{ plan.name.upper() }}", "call is not allowed"),
        ("{% set x = 1 %}{{ plan.name }}", "not allowed"),
        ("{{ plan.name | attr('x') }}", "unknown filter 'attr'"),
        ("{{ account.__class__ }}", "'account' has no '__class__'"),
    ],
)
def test_a_wrong_template_names_its_line(body: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        check(article(body, template=True))
    assert str(caught.value).startswith("a.md, line ")
    assert said in str(caught.value)


def test_the_company_can_say_which_limits_there_are() -> None:
    body = "{% if account %}{{ limits.run }}{% endif %}"
    check(article(body))
    with pytest.raises(UserError, match="'limits' has no 'run'"):
        check(article(body), {"account": {"name"}, "limits": {"runs"}})
