#!/usr/bin/env bash
# Create a model response: Multiple Functions
: "${FREDDY_BASE_URL:?}" "${FREDDY_API_KEY:=your-api-key}"

curl $FREDDY_BASE_URL/v1/model/response \
  -H "Authorization: Bearer $FREDDY_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
  "organization_id": "org_abc123",
  "model": "gpt-4o",
  "inputs": [
    {
      "role": "user",
      "texts": [
        {
          "text": "Send an email to john@example.com about the Q4 report"
        }
      ]
    }
  ],
  "tools": [
    {
      "type": "function",
      "name": "send_email",
      "description": "Send an email to a recipient",
      "parameters": {
        "type": "object",
        "properties": {
          "to": {
            "type": "string",
            "description": "Recipient email address"
          },
          "subject": {
            "type": "string",
            "description": "Email subject"
          },
          "body": {
            "type": "string",
            "description": "Email body content"
          }
        },
        "required": [
          "to",
          "subject",
          "body"
        ]
      },
      "strict": true,
      "require_approval": true
    },
    {
      "type": "function",
      "name": "get_document",
      "description": "Retrieve a document by name",
      "parameters": {
        "type": "object",
        "properties": {
          "document_name": {
            "type": "string",
            "description": "Name of the document"
          }
        },
        "required": [
          "document_name"
        ]
      },
      "strict": true,
      "require_approval": false
    },
    {
      "type": "function",
      "name": "create_calendar_event",
      "description": "Create a calendar event",
      "parameters": {
        "type": "object",
        "properties": {
          "title": {
            "type": "string"
          },
          "date": {
            "type": "string",
            "description": "ISO 8601 date"
          },
          "duration_minutes": {
            "type": "integer"
          }
        },
        "required": [
          "title",
          "date"
        ]
      },
      "strict": true,
      "require_approval": true
    }
  ],
  "toolChoice": "auto"
}'
